// Both APIs of the official client for Node.js, and its WebSocket. Prints what each call returned as JSON.

import OpenAI from "openai";
import { ResponsesWS } from "openai/resources/responses/ws";

const model = "gpt-6.1-terra";
const client = new OpenAI({ maxRetries: 0 });
const hello = [{ role: "user", content: "Say hello there" }];
const question = "What's the weather in Paris?";
const object = (properties) => ({
  type: "object",
  properties,
  required: Object.keys(properties),
  additionalProperties: false,
});
const city = object({ city: { type: "string" } });
const person = object({ name: { type: "string" }, age: { type: "integer" } });
const weather = { type: "function", name: "get_weather", parameters: city, strict: true };
const results = {};

results.plain = [
  (await client.responses.create({ model, input: "Say hello there", temperature: 0 })).output_text,
  (await client.chat.completions.create({ model, messages: hello, max_tokens: 100 })).choices[0].message.content,
];

const texts = ["", ""];
for await (const event of await client.responses.create({ model, input: "Say hello there", stream: true })) {
  if (event.type === "response.output_text.delta") texts[0] += event.delta;
}
const options = { model, messages: hello, stream: true, stream_options: { include_usage: true } };
for await (const chunk of await client.chat.completions.create(options)) {
  texts[1] += chunk.choices[0]?.delta?.content ?? "";
  if (chunk.usage) results.usage = chunk.usage.total_tokens;
}
results.stream = texts;

const input = [{ role: "user", content: question }];
const first = await client.responses.stream({ model, input, tools: [weather] }).finalResponse();
const call = first.output.find((item) => item.type === "function_call");
const output = `sunny in ${JSON.parse(call.arguments).city}`;
input.push(...first.output, { type: "function_call_output", call_id: call.call_id, output });
const runner = client.chat.completions.runTools({
  model,
  stream: true,
  messages: [{ role: "user", content: question }],
  tools: [
    {
      type: "function",
      function: {
        name: "get_weather",
        parameters: city,
        parse: JSON.parse,
        function: (argument) => `sunny in ${argument.city}`,
      },
    },
  ],
});
results.tool = [
  (await client.responses.create({ model, input, tools: [weather] })).output_text,
  await runner.finalContent(),
];

const format = { type: "json_schema", name: "person", strict: true, schema: person };
results.structured = [
  (await client.responses.create({ model, input: "Extract: Bob is 42.", text: { format } })).output_text,
  (
    await client.chat.completions.create({
      model,
      messages: [{ role: "user", content: "Extract: Bob is 42." }],
      response_format: { type: "json_schema", json_schema: { name: "person", strict: true, schema: person } },
    })
  ).choices[0].message.content,
].map(JSON.parse);

results.models = (await client.models.list()).data.map((each) => each.id);

results.websocket = await new Promise((resolve, reject) => {
  const socket = new ResponsesWS(client);
  let text = "";
  socket.on("error", reject);
  socket.on("response.output_text.delta", (event) => (text += event.delta));
  socket.on("response.completed", () => {
    socket.close();
    resolve(text);
  });
  socket.send({ type: "response.create", model, input: "Say hello there" });
});
console.log(JSON.stringify(results));
