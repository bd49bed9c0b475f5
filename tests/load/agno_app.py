"""Agno with the two workflows that tests/load asks for: agno_app.py MODEL_URL DATABASE_FILE

`content-pipeline` builds its model object once for the process. Built in the factory, as Agno's own
examples have it, it costs three to four times as much: each object reads the CA certificates again.
"""

import socket
import sys

import uvicorn
from agno.agent import Agent
from agno.db.sqlite import SqliteDb
from agno.models.openai import OpenAIResponses
from agno.os import AgentOS
from agno.workflow import Step, StepInput, StepOutput, Workflow, WorkflowFactory

model_url, database = sys.argv[1:]
db = SqliteDb(db_file=database, id="load")
model = OpenAIResponses(id="gpt-5.4", base_url=model_url)


def content_pipeline(ctx):
    user_id = ctx.user_id or "anonymous"
    drafter = Agent(
        name="Drafter",
        model=model,
        instructions=(
            f"You are a content drafter for tenant {user_id}. "
            "Write a first draft based on the topic. Keep it focused and concise."
        ),
    )
    editor = Agent(
        name="Editor",
        model=model,
        instructions=(
            f"You are an editor for tenant {user_id}. "
            "Review the draft for clarity, grammar, and structure. Output the final version."
        ),
    )
    return Workflow(
        name="Content Pipeline",
        description="Draft then edit content",
        db=db,
        steps=[
            Step(name="draft", description="Write the first draft", agent=drafter),
            Step(name="edit", description="Edit and finalize", agent=editor),
        ],
    )


def say(step_input: StepInput) -> StepOutput:
    return StepOutput(content=step_input.input)


def echo(ctx):
    return Workflow(name="Echo", db=db, steps=[Step(name="echo", executor=say)])


agent_os = AgentOS(
    id="load",
    workflows=[
        WorkflowFactory(id="content-pipeline", db=db, name="Content Pipeline", factory=content_pipeline),
        WorkflowFactory(id="echo", db=db, name="Echo", factory=echo),
    ],
    telemetry=False,
)

if __name__ == "__main__":
    # With the protocol's name, so that asyncio turns Nagle's algorithm off as for a socket of its own.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen(1024)
    print(f"LISTEN http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    config = uvicorn.Config(agent_os.get_app(), log_level="warning", access_log=False)
    uvicorn.Server(config).run(sockets=[listener])
