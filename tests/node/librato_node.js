// Sends every type of measurement with the client librato-node.
//
//     NODE_PATH=FOLDER node librato_node.js URL USER TOKEN
'use strict';
const librato = require('librato-node');
const [uri, email, token] = process.argv.slice(2);

librato.on('error', (error) => {
  console.error(error);
  process.exitCode = 1;
});

const flushed = () => new Promise((resolve) => librato.flush(resolve));

async function main() {
  librato.configure({ email, token, source: 'node-1', prefix: 'js.', requestOptions: { uri } });
  librato.measure('member count', 2001);
  librato.measure('depth', 0.25, { source: 'node-2' });
  [250, 500, 1500].forEach((ms) => librato.measure('response-time', ms));
  librato.timing('block', () => {});
  librato.timing('callback', (done) => setTimeout(done, 5));
  // Counters are totals since the start, of which the first one counts nothing.
  librato.increment('hits', 5);
  librato.increment('hits', 1, { source: 'node-2' });
  await flushed();
  librato.increment('hits');
  librato.increment('hits', 2);
  librato.increment('hits', 7, { source: 'node-2' });
  await flushed();
}

main();
