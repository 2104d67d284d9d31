// Sends and receives events over one stream: events.js ENDPOINT. Each text is sent when the one before it was answered.
const assert = require('node:assert');
const { LexRuntimeV2Client, StartConversationCommand } = require('@aws-sdk/client-lex-runtime-v2');

const client = new LexRuntimeV2Client({ endpoint: process.argv[2], maxAttempts: 1 });

async function converse(sessionId, texts) {
  let answered;
  async function* events() {
    yield { ConfigurationEvent: { responseContentType: 'text/plain' } };
    for (const text of texts) {
      const answer = new Promise((resolve) => { answered = resolve; });
      yield { TextInputEvent: { text, clientTimestampMillis: Date.now() } };
      await answer;
    }
  }
  const reply = await client.send(new StartConversationCommand({
    botId: 'ABCDEFGHIJ', botAliasId: 'TSTALIASID', localeId: 'en_US', sessionId, conversationMode: 'TEXT', requestEventStream: events(),
  }));
  const heard = [];
  for await (const event of reply.responseEventStream) {
    heard.push(event.TextResponseEvent.eventId);
    answered();
  }
  return heard;
}

(async () => {
  assert.deepEqual(await converse('one', ['hello', 'wörld', '!']), ['hello from one', 'wörld from one', '! from one']);
  await assert.rejects(converse('two', ['hello', 'fail']), { name: 'ConflictException', message: 'as you like' });
  console.log('javascript ok');
  process.exit(0);
})();
