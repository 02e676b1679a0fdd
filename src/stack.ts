/**
 * Makes an error without stack frames. A refusal is not a bug: where in our source it was made says nothing about its cause, costs as much as
 * parsing a certificate, and Express shows it to clients in development.
 *
 * @returns what puts the limit back; call it after `super()`
 */
export function muteStack(): () => void {
  const { stackTraceLimit } = Error
  // Under --frozen-intrinsics it cannot be set; then errors have stacks.
  const isWritable = Object.getOwnPropertyDescriptor(Error, 'stackTraceLimit')?.writable === true
  if (!isWritable) return () => {}
  Error.stackTraceLimit = 0
  return () => {
    Error.stackTraceLimit = stackTraceLimit
  }
}

/** Whatever was thrown, as an error: only errors have a message. */
export const asError = (thrown: unknown): Error => (thrown instanceof Error ? thrown : new Error(textOf(thrown)))

/** What can be handed to a framework as what went wrong: objects as they are. `undefined`, `'route'` and their like are no error to Express, but the word to go on. */
export const asFailure = (thrown: unknown): object =>
  typeof thrown === 'object' && thrown !== null ? thrown : asError(thrown)

/** What was thrown, as text; it may be anything. */
export function textOf(thrown: unknown): string {
  try {
    return String(thrown instanceof Error ? thrown.message : thrown)
  } catch {
    return 'something that cannot be printed'
  }
}
