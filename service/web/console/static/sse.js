// Server-sent events out of a body that is read as it comes. Refuses nothing but what is incomplete.

/** Each event with its name and its JSON; comments are left out. */
export async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const frames = (rest + value).split("\n\n");
      rest = frames.pop();
      for (const frame of frames) {
        const event = read(frame);
        if (event) yield event;
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function read(frame) {
  const lines = frame.split("\n").filter((line) => !line.startsWith(":"));
  const field = (name) =>
    lines
      .filter((line) => line.startsWith(`${name}: `))
      .map((line) => line.slice(name.length + 2))
      .join("\n");
  const data = field("data");
  return data ? { id: field("id"), name: field("event"), data: JSON.parse(data) } : null;
}
