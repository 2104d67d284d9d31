'use strict';
const test = require('node:test');
const assert = require('node:assert');
const { S3Client, CreateBucketCommand, GetObjectCommand, PutObjectCommand } = require('@aws-sdk/client-s3');

const s3 = new S3Client({ forcePathStyle: true });

test('a report is kept', async () => {
  await s3.send(new CreateBucketCommand({ Bucket: 'reports' }));
  await s3.send(new PutObjectCommand({ Bucket: 'reports', Key: 'monday.txt', Body: 'all quiet' }));
  const report = await s3.send(new GetObjectCommand({ Bucket: 'reports', Key: 'monday.txt' }));
  assert.equal(await report.Body.transformToString(), 'all quiet');
});
