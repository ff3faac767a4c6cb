// Shows openapi.json, and sends requests: no library, nothing from elsewhere, nothing inline.
"use strict";

const METHODS = ["get", "post", "put", "patch", "delete"];

function make(tag, properties, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

// What a schema allows, in a few words.
function words(schema) {
  if (schema.$ref) {
    const name = schema.$ref.split("/").pop();
    return make("a", { href: `#schema-${name}`, textContent: name });
  }
  const alternatives = schema.anyOf || schema.oneOf;
  if (alternatives) {
    return make("span", {}, ...alternatives.flatMap((one, index) => (index ? [" or ", words(one)] : [words(one)])));
  }
  if (schema.type === "array") return make("span", {}, "list of ", words(schema.items || {}));
  if (schema.enum) return make("span", { textContent: schema.enum.map((value) => JSON.stringify(value)).join(", ") });
  const bounds = Object.entries(schema)
    .filter(([word]) => !["type", "description", "examples", "title", "properties", "required", "items"].includes(word))
    .map(([word, value]) => `${word} ${JSON.stringify(value)}`);
  return make("span", { textContent: [schema.type || "anything", ...bounds].join(", ") });
}

function row(name, schema, required, description, place) {
  const cells = [make("code", { textContent: name, className: required ? "required" : "" }), place, words(schema)];
  const text = make("span", { textContent: description || schema.description || "" });
  if (schema.examples) text.append(" For example: ", make("code", { textContent: JSON.stringify(schema.examples[0]) }));
  return make("tr", {}, ...[...cells, text].filter((cell) => cell !== undefined).map((cell) => make("td", {}, cell)));
}

function table(rows) {
  return rows.length ? make("table", {}, make("tbody", {}, ...rows)) : "";
}

// A value that the schema allows, made from its examples.
function example(contract, schema) {
  if (schema.$ref) return example(contract, contract.components.schemas[schema.$ref.split("/").pop()]);
  if (schema.examples) return schema.examples[0];
  if (schema.anyOf) return example(contract, schema.anyOf[0]);
  if (schema.enum) return schema.enum[0];
  if (schema.type === "array") return [example(contract, schema.items || {})];
  if (schema.type === "object") {
    const pairs = Object.entries(schema.properties || {}).map(([name, part]) => [name, example(contract, part)]);
    return Object.fromEntries(pairs);
  }
  return { string: "", integer: 0, number: 0, boolean: false }[schema.type] ?? null;
}

// The form that sends a request. The page stands at /docs below the prefix, wherever that is mounted.
function form(contract, root, path, method, operation) {
  const inputs = (operation.parameters || []).map((parameter) => [parameter, make("input", { name: parameter.name })]);
  const content = operation.requestBody?.content;
  const media = content && (content["application/json"] ? "application/json" : Object.keys(content)[0]);
  const body = media && make("textarea", { spellcheck: false, ariaLabel: "Body" });
  if (body) body.value = JSON.stringify(example(contract, content[media].schema), null, 2);
  const output = make("pre", { hidden: true });
  const element = make("form", {}, ...inputs.map(([parameter, input]) => make("label", {}, parameter.name, input)));
  if (body) element.append(body);
  element.append(make("button", { textContent: "Send" }), output);
  element.addEventListener("submit", async (event) => {
    event.preventDefault();
    const query = new URLSearchParams();
    const headers = media ? { "Content-Type": media } : {};
    let address = path;
    for (const [parameter, { value }] of inputs) {
      if (parameter.in === "path") address = address.replace(`{${parameter.name}}`, encodeURIComponent(value));
      else if (value && parameter.in === "query") query.append(parameter.name, value);
      else if (value) headers[parameter.name] = value;
    }
    const response = await fetch(root + address + (query.size ? `?${query}` : ""), {
      method: method.toUpperCase(), headers, body: body?.value,
    });
    const text = await response.text();
    let shown = text;
    try { shown = JSON.stringify(JSON.parse(text), null, 2); } catch { /* not JSON, or nothing: shown as it is */ }
    output.hidden = false;
    output.textContent = `${response.status} ${response.statusText}\n${shown}`;
  });
  return element;
}

function section(contract, root, path, method, operation) {
  const title = [make("span", { className: "method", textContent: method.toUpperCase() }), ` ${path}`];
  const parameters = (operation.parameters || [])
    .map((one) => row(one.name, one.schema, one.required, one.description, one.in));
  const responses = Object.entries(operation.responses).map(([status, response]) => {
    const media = Object.entries(response.content || {})[0];
    const kind = media ? make("span", {}, words(media[1].schema), ` as ${media[0]}`) : "";
    const cells = [make("code", { textContent: status }), response.description, kind];
    return make("tr", {}, ...cells.map((cell) => make("td", {}, cell)));
  });
  const body = Object.entries(operation.requestBody?.content || {});
  return make("section", { id: operation.operationId },
    make("h2", {}, ...title),
    make("p", {}, make("strong", { textContent: operation.summary || "" })),
    make("p", { textContent: operation.description || "" }),
    parameters.length ? make("h3", { textContent: "Parameters" }) : "", table(parameters),
    ...body.map(([media, { schema }]) => make("p", {}, "Body: ", words(schema), ` as ${media}`)),
    make("h3", { textContent: "Responses" }), table(responses),
    make("details", {}, make("summary", { textContent: "Try it" }), form(contract, root, path, method, operation)));
}

function show(contract, root) {
  const main = document.querySelector("main");
  const nav = document.querySelector("nav");
  document.title = contract.info.title;
  main.replaceChildren(
    make("h1", { textContent: `${contract.info.title} ${contract.info.version}` }),
    make("p", {}, contract.info.description || "", " ", make("a", { href: "openapi.json", textContent: "openapi.json" })));
  for (const [path, item] of Object.entries(contract.paths)) {
    for (const method of METHODS.filter((method) => item[method])) {
      const operation = item[method];
      const mark = make("span", { className: "method", textContent: method.toUpperCase() });
      nav.append(make("a", { href: `#${operation.operationId}` }, mark, ` ${operation.summary || path}`));
      main.append(section(contract, root, path, method, operation));
    }
  }
  for (const [name, schema] of Object.entries(contract.components?.schemas || {})) {
    const required = schema.required || [];
    const rows = Object.entries(schema.properties || {})
      .map(([property, part]) => row(property, part, required.includes(property)));
    main.append(make("section", { id: `schema-${name}` }, make("h2", { textContent: name }),
      make("p", { textContent: schema.description || "" }), rows.length ? table(rows) : words(schema)));
  }
  document.body.dataset.ready = "yes";
}

const here = new URL("openapi.json", location.href);
fetch(here)
  .then((response) => response.json())
  .then((contract) => show(contract, here.href.replace(/\/api\/v1\/openapi\.json$/, "")))
  .catch((error) => document.querySelector("main").replaceChildren(make("p", { textContent: String(error) })));
