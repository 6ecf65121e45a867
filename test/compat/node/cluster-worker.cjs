/**
 * Lets a worker of node:cluster end when it has nothing more to do: its channel would keep it for ever. Not at once, because
 * until it has what it asks the primary for, nothing else may keep it.
 */
setTimeout(() => process.channel?.unref(), 1_500).unref();
