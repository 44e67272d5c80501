from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition

from codex_backend_sdk.integrations.langchain import chat_model


def get_weather(city: str) -> str:
    """Return the weather in a city."""
    return f"sunny in {city}"


model = chat_model("gpt-6.1-terra", reasoning_effort="low").bind_tools([get_weather])
builder = StateGraph(MessagesState)
builder.add_node("model", lambda state: {"messages": [model.invoke(state["messages"])]})
builder.add_node("tools", ToolNode([get_weather]))
builder.add_edge(START, "model")
builder.add_conditional_edges("model", tools_condition)
builder.add_edge("tools", "model")
graph = builder.compile(checkpointer=InMemorySaver())

thread = {"configurable": {"thread_id": "1"}}
response = graph.invoke({"messages": [("user", "What's the weather in Paris?")]}, thread)
print(response["messages"][-1].text)
