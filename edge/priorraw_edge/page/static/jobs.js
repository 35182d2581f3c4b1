// What the page asks of its server.

const HEADERS = { "X-PriorRAW": "1" };
const sleep = (milliseconds) => new Promise((wake) => setTimeout(wake, milliseconds));

export class Refused extends Error {}

async function answer(response) {
  if (response.ok) return response.status === 204 ? null : response.json();
  const told = await response.json().catch(() => ({}));
  throw new Refused(told.error ?? `the server answered ${response.status}`);
}

export const status = async () => answer(await fetch("/api/status"));

/** Send a photograph; waits where the server is busy. `tell(part)` is called as it is sent. Returns the job. */
export async function submit(file, { camera, hint, view }, tell, signal) {
  const query = new URLSearchParams({ hint, view, ...(camera && { camera }) });
  for (;;) {
    const { status: code, body } = await send(`/api/jobs?${query}`, file, tell, signal);
    if (code === 202) return body;
    if (code !== 503) throw new Refused(body.error ?? `the server answered ${code}`);
    tell(null); // busy: come back
    await sleep(2000);
    signal.throwIfAborted();
  }
}

// XMLHttpRequest, since fetch does not tell how much of a body is sent.
function send(address, file, tell, signal) {
  return new Promise((done, failed) => {
    const request = new XMLHttpRequest();
    request.open("POST", address);
    request.setRequestHeader("X-PriorRAW", "1");
    request.responseType = "json";
    request.upload.onprogress = (event) => tell(event.loaded / event.total);
    request.onload = () => done({ status: request.status, body: request.response ?? {} });
    request.onerror = () => failed(new Refused("the server cannot be reached"));
    request.onabort = () => failed(signal.reason);
    signal.addEventListener("abort", () => request.abort());
    request.send(file);
  });
}

/** Follow a job to its end; `tell(job)` is called with news. Returns the result. */
export async function follow(job, tell, signal) {
  while (!["done", "failed"].includes(job.state)) {
    tell(job);
    job = await answer(await fetch(`/api/jobs/${job.id}?seen=${job.revision}`, { signal }));
  }
  if (job.state === "failed") throw new Refused(job.error);
  return job.result;
}

/** The 16-bit result as the browser shows it. */
export async function fetchView(id, result, signal) {
  const response = await fetch(`/api/jobs/${id}/view`, { signal });
  if (!response.ok) await answer(response);
  const bytes = await response.arrayBuffer();
  const { width, height } = result.view;
  const pixels = width * height;
  return {
    width, height, gains: result.gains, matrix: result.matrix,
    raw: new Uint16Array(bytes, 0, 3 * pixels), // little-endian, as every machine with a browser is
    srgb: new Uint8Array(bytes, 6 * pixels, 3 * pixels),
    reliability: new Uint8Array(bytes, 9 * pixels, pixels),
  };
}

export const remove = (id) => fetch(`/api/jobs/${id}`, { method: "DELETE", headers: HEADERS, keepalive: true }).catch(() => {});
