// Calls of the API, and its refusals as errors. Refuses other origins: every path is one of this service.

import { events } from "./sse.js";

/** The contract's words for a service that cannot be reached: there is no body to take them from. */
const UNREACHED = {
  error: "Network error. Please check your connection and try again.",
  code: "unreached",
  category: "network",
};

const UNCHANGED = 304;

export class Problem extends Error {
  /** `status` is 0 where nothing answered; `waitsUntil` the moment (ms) before which asking again is in vain. */
  constructor(body, status = 0, seconds = null) {
    super(body.error);
    this.status = status;
    this.code = body.code;
    this.category = body.category;
    this.requestId = body.requestId ?? null;
    this.traceId = body.traceId ?? null;
    this.fields = body.errors ?? [];
    this.waitsUntil = seconds === null ? null : Date.now() + seconds * 1000;
  }
}

/** A JSON answer, null where there is no body; throws Problem. */
export async function call(method, path, body) {
  const sent =
    body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } };
  const response = await reached(path, { method, ...sent });
  return response.status === 204 ? null : await response.json();
}

/** What is at a path and the tag it has, null where it still has the one that is known; throws Problem. */
export async function news(path, tag, signal) {
  const headers = tag ? { "if-none-match": tag } : {};
  const response = await reached(path, { method: "GET", headers, signal });
  if (response.status === UNCHANGED) return null;
  return { body: await response.json(), tag: response.headers.get("etag") };
}

/** The events of an answer as they come; throws Problem, also for a stream that was cut. */
export async function* asked(question, { key, signal, heard }) {
  const response = await reached(
    "/api/v1/agent/chat",
    {
      method: "POST",
      body: JSON.stringify(question),
      headers: { "content-type": "application/json", "idempotency-key": key },
      signal,
    },
    heard,
  );
  if (!response.headers.get("content-type").startsWith("text/event-stream")) {
    yield* whole(await response.json());
    return;
  }
  for await (const event of cut(events(response.body), signal)) {
    if (event.name === "error") throw new Problem(event.data, 200, event.data.retryAfter ?? null);
    yield event;
    if (event.name === "done") return;
  }
  throw new Problem(UNREACHED);
}

/** Where streaming is off the answer comes whole: the same events, all at once. */
function* whole(answer) {
  yield { name: "turn", data: answer };
  if (answer.thinking) yield { name: "thinking", data: { text: answer.thinking } };
  yield { name: "text", data: { text: answer.response } };
  yield { name: "done", data: answer };
}

async function* cut(stream, signal) {
  try {
    yield* stream;
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Problem(UNREACHED);
  }
}

async function reached(path, options, heard = () => {}) {
  let response;
  try {
    response = await fetch(path, {
      credentials: "same-origin",
      cache: "no-store",
      redirect: "error",
      ...options,
    });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new Problem(UNREACHED);
  }
  heard(response.headers);
  if (response.ok || response.status === UNCHANGED) return response;
  const seconds = Number.parseInt(response.headers.get("retry-after") ?? "", 10);
  throw new Problem(await told(response), response.status, Number.isNaN(seconds) ? null : seconds);
}

async function told(response) {
  try {
    return await response.json();
  } catch {
    return UNREACHED; // something between us and the service answered in its place
  }
}
