/** What a listener does must not change a decision. */
export function quietly(call: () => unknown): void {
  try {
    const result = call()
    if (result instanceof Promise) result.catch(() => {})
  } catch {
    // An operator's log that fails is the operator's; what was decided stands.
  }
}
