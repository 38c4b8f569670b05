// Shows the service's own OpenAPI document.

import { callJson } from "./api.js";
import { startTheme } from "./theme.js";

const find = (id) => document.getElementById(id);

function make(tag, text = "", ...children) {
  const element = Object.assign(document.createElement(tag), { textContent: text });
  element.append(...children);
  return element;
}

function code(text) {
  return make("code", text);
}

function table(head, rows) {
  const body = make("tbody", "", ...rows.map((cells) => make("tr", "", ...cells.map((cell) => {
    const place = make("td");
    place.append(cell);
    return place;
  }))));
  const top = make("thead", "", make("tr", "", ...head.map((word) => {
    const cell = make("th", word);
    cell.scope = "col";
    return cell;
  })));
  return make("table", "", top, body);
}

function describeSchema(schema = {}) {
  if (schema.$ref) return schema.$ref.split("/").at(-1);
  if (schema.anyOf) return schema.anyOf.map(describeSchema).join(", or ");
  if (schema.enum) return schema.enum.join(", ");
  const { minimum, maximum } = schema;
  const range = maximum !== undefined ? `, ${minimum} to ${maximum}` : minimum !== undefined ? `, ${minimum} or more` : "";
  const usual = schema.default !== undefined ? `; default: ${schema.default}` : "";
  return `${schema.type ?? "anything"}${range}${usual}`;
}

function parameters(operation) {
  if (!operation.parameters?.length) return [];
  const describe = (schema) => describeSchema(schema) + (schema.examples ? `; for example ${schema.examples[0]}` : "");
  const rows = operation.parameters.map(({ name, schema, description }) => [code(name), describe(schema), description ?? ""]);
  return [make("h3", "In the address"), table(["Name", "Value", "Meaning"], rows)];
}

function body({ requestBody }) {
  if (!requestBody) return [];
  const kinds = Object.keys(requestBody.content).join(", ");
  return [make("h3", "Body"), make("p", `${requestBody.description} As ${kinds}.`)];
}

function answers({ responses }) {
  const rows = Object.entries(responses).map(([status, { description, content = {} }]) =>
    [code(status), description, Object.keys(content).join(", ")]);
  return [make("h3", "Answers"), table(["Status", "Meaning", "Kind"], rows)];
}

function headers({ responses }) {
  const found = Object.entries(responses[200]?.headers ?? {});
  if (!found.length) return [];
  return [make("h3", "Headers of the answer"),
          table(["Name", "Meaning"], found.map(([name, { description }]) => [code(name), description]))];
}

function showCall(path, method, operation) {
  const word = make("span", method.toUpperCase());
  word.className = "method";
  const details = make("details", "", make("summary", "", word, code(path), make("span", operation.summary ?? "")));
  details.className = "call";
  const inner = make("div", "", make("p", operation.description ?? ""), ...parameters(operation), ...body(operation),
    ...headers(operation), ...answers(operation));
  inner.className = "body";
  details.append(inner);
  return details;
}

async function start() {
  startTheme(find("theme"));
  find("example").textContent = `curl --data-binary @noisy.jpg -o clean.jpg "${location.origin}/v1/denoise?strength=0.8"\n` +
    `curl -F file=@scan.tif -OJ ${location.origin}/v1/denoise`;
  try {
    const openapi = await callJson("/openapi.json");
    const words = openapi.info.description.split("`");
    find("about").append(...words.map((word, at) => (at % 2 ? code(word) : word)));
    const groups = Map.groupBy(
      Object.entries(openapi.paths).flatMap(([path, methods]) =>
        Object.entries(methods).map(([method, operation]) => ({ path, method, operation }))),
      ({ operation }) => operation.tags?.[0] ?? "more");
    for (const [name, calls] of groups) {
      find("paths").append(make("h2", name[0].toUpperCase() + name.slice(1)),
        ...calls.map(({ path, method, operation }) => showCall(path, method, operation)));
    }
  } catch (error) {
    find("notice").textContent = error.message;
    find("notice").hidden = false;
  }
}

start();
