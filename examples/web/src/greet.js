'use strict';

module.exports.handler = async (event) => {
  const message = `${process.env.GREETING}, ${event.pathParameters.name}!`;
  console.log(message);
  return { statusCode: 200, body: JSON.stringify({ message, version: event.version ?? '1.0' }) };
};
