// A session of four requests with pi-ai: a reply, a tool call, its output, and another reply.

import { pathToFileURL } from "node:url";

const { BASE_URL, TOKEN, NODE_MODULES, TRANSPORT } = process.env;
const load = (name) => import(pathToFileURL(`${NODE_MODULES}/@earendil-works/pi-ai/dist/${name}.js`).href);
const { getBuiltinModel } = await load("providers/all");
const { closeOpenAICodexWebSocketSessions, stream } = await load("api/openai-codex-responses");

const model = { ...getBuiltinModel("openai-codex", "gpt-6.1-sol"), baseUrl: BASE_URL };
const options = { apiKey: TOKEN, transport: TRANSPORT, sessionId: "session-1", maxRetries: 0 };
const messages = [];
const results = [];
for (const prompt of ["Say hello", "What is the weather?", null, "Say goodbye"]) {
  if (prompt !== null) messages.push({ role: "user", content: prompt, timestamp: Date.now() });
  const message = await stream(model, { messages }, options).result();
  messages.push(message);
  const text = message.content.map((part) => (part.type === "text" ? part.text : "")).join("");
  results.push({ stop: message.stopReason, text, error: message.errorMessage ?? null });
  for (const call of message.content.filter((part) => part.type === "toolCall")) {
    const content = [{ type: "text", text: `sunny in ${call.arguments.city}` }];
    messages.push({ role: "toolResult", toolCallId: call.id, toolName: call.name, content, timestamp: Date.now() });
  }
}
closeOpenAICodexWebSocketSessions();
console.log(JSON.stringify(results));
