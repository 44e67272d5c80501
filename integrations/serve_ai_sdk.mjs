// The AI SDK with both APIs of its OpenAI provider, and with its provider for compatible servers.

import { generateText, jsonSchema, Output, stepCountIs, streamText, tool } from "ai";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";

globalThis.AI_SDK_LOG_WARNINGS = false;
const id = "gpt-6.1-terra";
const openai = createOpenAI();
const compatible = createOpenAICompatible({
  name: "local",
  baseURL: process.env.OPENAI_BASE_URL,
  apiKey: process.env.OPENAI_API_KEY,
  includeUsage: true,
  supportsStructuredOutputs: true,
});
const object = (properties) =>
  jsonSchema({ type: "object", properties, required: Object.keys(properties), additionalProperties: false });
const tools = {
  get_weather: tool({
    description: "Return the weather in a city.",
    inputSchema: object({ city: { type: "string" } }),
    execute: async ({ city }) => `sunny in ${city}`,
  }),
};
const output = Output.object({ schema: object({ name: { type: "string" }, age: { type: "integer" } }) });
const options = { openai: { reasoningEffort: "low" }, local: { reasoningEffort: "low" } };

const results = [];
for (const model of [openai(id), openai.chat(id), compatible(id)]) {
  const plain = await generateText({ model, prompt: "Say hello there", temperature: 0, maxOutputTokens: 1000 });
  const stream = streamText({ model, prompt: "Say hello there", providerOptions: options });
  let text = "";
  for await (const part of stream.textStream) text += part;
  const called = streamText({ model, prompt: "What's the weather in Paris?", stopWhen: stepCountIs(3), tools });
  const person = await generateText({ model, prompt: "Extract: Bob is 42.", output });
  results.push({
    plain: plain.text,
    stream: text,
    tokens: (await stream.usage).totalTokens,
    tool: await called.text,
    steps: (await called.steps).length,
    structured: person.output,
  });
}
console.log(JSON.stringify(results));
