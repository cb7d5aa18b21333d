// `manage.py loadtest` for k6: the same scenario, counted per subscriber at its end.
//
//   k6 run -e TOKEN=… -e SUBSCRIBERS=1000 --log-output=none loadtest.k6.js
//
// k6 reads a response only as a whole, so a subscriber reads until a timeout after the
// last update; that is what the warning "request timeout" is, and why there is no
// latency of single deliveries here: `manage.py loadtest` measures that.

import { check, sleep } from 'k6';
import exec from 'k6/execution';
import http from 'k6/http';
import { Counter } from 'k6/metrics';

const BASE_URL = (__ENV.BASE_URL || 'http://localhost:8088').replace(/\/+$/, '');
const TOKEN = __ENV.TOKEN;
const ENVIRONMENT = __ENV.ENVIRONMENT || 'load_test';
const SUBSCRIBERS = number('SUBSCRIBERS', 1000);
const RAMP = number('RAMP', 1000); // connections a second
const INTERVAL = number('INTERVAL', 10); // seconds between updates
const DURATION = number('DURATION', 60); // seconds of updates, after the ramp
const GRACE = number('GRACE', 5); // seconds after which a delivery is missing

const UPDATES = Math.ceil(DURATION / INTERVAL);
const SUBSCRIBED = SUBSCRIBERS / RAMP + 2; // seconds after which all are connected
const END = SUBSCRIBED + DURATION + GRACE;
const ENDPOINTS = `${BASE_URL}/sse/environments/${encodeURIComponent(ENVIRONMENT)}`;
const TIMED_OUT = 1050;

export const options = {
  scenarios: {
    subscribers: {
      executor: 'per-vu-iterations',
      exec: 'subscribe',
      vus: SUBSCRIBERS,
      iterations: 1,
      maxDuration: `${Math.ceil(END) + 60}s`,
    },
    publisher: {
      executor: 'per-vu-iterations',
      exec: 'publish',
      vus: 1,
      iterations: 1,
      startTime: `${Math.ceil(SUBSCRIBED * 1000)}ms`,
      maxDuration: `${Math.ceil(DURATION) + 60}s`,
    },
  },
  thresholds: {
    checks: ['rate==1'],
    deliveries: [`count==${SUBSCRIBERS * UPDATES}`],
    missing: ['count==0'],
    duplicates: ['count==0'],
  },
};

const deliveries = new Counter('deliveries');
const missing = new Counter('missing');
const duplicates = new Counter('duplicates');

export function setup() {
  if (!TOKEN) {
    exec.test.abort('TOKEN is not set: it takes the SSE_AUTHENTICATION_TOKEN');
  }
  return { started: Date.now() / 1000 };
}

export function subscribe({ started }) {
  const delay = exec.vu.idInTest / RAMP;
  sleep(Math.min(delay, SUBSCRIBERS / RAMP));
  const timeout = Math.round((started + END) * 1000 - Date.now());
  const stream = http.get(`${ENDPOINTS}/stream`, {
    headers: { Accept: 'text/event-stream' },
    timeout,
  });
  check(stream, { 'the stream was open to the end': (r) => r.error_code === TIMED_OUT });
  // The first may be one of before, which the service keeps for who comes later.
  const got = [...(stream.body || '').matchAll(/^data: ?(.*)$/gm)]
    .map((line) => JSON.parse(line[1]).updated_at)
    .filter((value) => value > started);
  const distinct = new Set(got).size;
  deliveries.add(distinct);
  missing.add(UPDATES - distinct);
  duplicates.add(got.length - distinct);
}

export function publish() {
  const start = Date.now();
  for (let n = 0; n < UPDATES; n++) {
    sleep(Math.max(0, start + n * INTERVAL * 1000 - Date.now()) / 1000);
    const now = (Date.now() / 1000).toFixed(6);
    const answer = http.post(`${ENDPOINTS}/queue-change`, `{"updated_at":${now}}`, {
      headers: { Authorization: `Token ${TOKEN}`, 'Content-Type': 'application/json' },
    });
    check(answer, { 'the update was accepted': (r) => r.status === 202 });
  }
}

function number(name, otherwise) {
  const value = Number(__ENV[name] || otherwise);
  if (!(value > 0)) {
    throw new Error(`${name} takes a number more than 0`);
  }
  return value;
}
