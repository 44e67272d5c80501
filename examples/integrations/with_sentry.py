import os

import sentry_sdk

from codex_backend_sdk import OpenAI

sentry_sdk.init(os.environ.get("SENTRY_DSN"), traces_sample_rate=1.0, send_default_pii=True)

client = OpenAI()
with sentry_sdk.start_transaction(name="my task"):
    print(client.responses.create(input="Say hello").output_text)
