// Calls of the service: the token, problems as errors, uploads that tell how far they are.

export class Problem extends Error {
  constructor(status, detail, retryAfter) {
    super(detail);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

const TOKEN = "quietpixel-token";

function headers(more = {}) {
  const token = sessionStorage.getItem(TOKEN);
  return token ? { ...more, Authorization: `Bearer ${token}` } : more;
}

export function hasToken() {
  return Boolean(sessionStorage.getItem(TOKEN));
}

export function keepToken(token) {
  sessionStorage.setItem(TOKEN, token);
}

function readProblem(status, text, retryAfter) {
  let detail = "", reason = "";
  try {
    ({ detail, reason } = JSON.parse(text));
  } catch {
    // A proxy in between answered.
  }
  if (reason) detail = reason[0].toUpperCase() + reason.slice(1); // the page shows the name elsewhere
  return new Problem(status, detail || `The service answered with status ${status}.`, retryAfter);
}

const UNREACHABLE = "The service cannot be reached; is it still running?";

export async function call(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, { ...options, headers: headers(options.headers) });
  } catch (error) {
    throw error.name === "AbortError" ? error : new Problem(0, UNREACHABLE);
  }
  if (!answer.ok) {
    throw readProblem(answer.status, await answer.text(), Number(answer.headers.get("Retry-After")));
  }
  return answer;
}

export async function callJson(path, options) {
  return (await call(path, options)).json();
}

export function postJson(path, value, signal) {
  const body = JSON.stringify(value);
  return callJson(path, { method: "POST", body, signal, headers: { "Content-Type": "application/json" } });
}

export function postBytes(path, body, signal) {
  return call(path, { method: "POST", body, signal, headers: { "Content-Type": "application/octet-stream" } });
}

// Sends a file; onSent gets the share that has left. Resolves with the answer's blob and headers.
export function sendFile(path, file, { signal, onSent }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", path);
    request.responseType = "blob";
    for (const [name, value] of Object.entries(headers())) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => onSent(event.loaded / Math.max(event.total, 1));
    request.onerror = () => reject(new Problem(0, UNREACHABLE));
    request.onabort = () => reject(new DOMException("stopped", "AbortError"));
    request.onload = async () => {
      if (request.status === 200) {
        resolve({ blob: request.response, header: (name) => request.getResponseHeader(name) });
      } else {
        const text = await request.response.text();
        reject(readProblem(request.status, text, Number(request.getResponseHeader("Retry-After"))));
      }
    };
    signal.addEventListener("abort", () => request.abort(), { once: true });
    const form = new FormData();
    form.append("file", file, file.name);
    request.send(form);
  });
}

export function query(words) {
  const given = Object.entries(words).filter(([, value]) => value !== "" && value != null);
  const text = new URLSearchParams(given).toString();
  return text ? `?${text}` : "";
}

export function pause(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
