// Sends every type of measurement with the client hot-shots.
//
//     NODE_PATH=FOLDER node hot_shots.js STATSD_PORT DOGSTATSD_PORT
'use strict';
const StatsD = require('hot-shots');
const [statsdPort, dogstatsdPort] = process.argv.slice(2).map(Number);

// Sampled measurements are always sent, so that their number is known.
Math.random = () => 0;

const fail = (error) => {
  console.error(error);
  process.exitCode = 1;
};

function send(prefix, options) {
  const client = new StatsD({ host: '127.0.0.1', prefix, errorHandler: fail, ...options });
  client.increment('hits');
  client.increment('hits', 4);
  client.decrement('hits', 2);
  client.increment('tagged', 1, ['env:prod', 'canary']);
  client.increment('tagged', 2, { env: 'prod', canary: 'true' });
  client.increment('sampled', 3, 0.25);
  client.gauge('depth', 5);
  client.gaugeDelta('depth', -2);
  client.gaugeDelta('depth', 3.5);
  client.timing('query', 500);
  client.timing('query', 250);
  client.timing('rare', 125, 0.5);
  client.timer(() => {}, 'block')();
  client.histogram('size', 512);
  client.histogram('size', -1.5);
  client.distribution('spread', 3, ['a:b']);
  client.set('users', 'anna');
  client.unique('users', 'bob');
  client.gauge('past', 6, { timestamp: new Date(1700000000000) });
  client.event('deployed', 'version 2\nis out', { alert_type: 'success' }, ['env:prod']);
  client.check('db', client.CHECKS.OK, { message: 'fine' }, ['env:prod']);
  client.close((error) => error && fail(error));
}

send('js_udp.', { port: statsdPort });
send('js_buffered.', { port: statsdPort, maxBufferSize: 1000 });
send('js_dd.', { port: dogstatsdPort });
send('js_tcp.', { port: statsdPort, protocol: 'tcp' });
