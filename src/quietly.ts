import { whenRejected } from './thenable.js'

/** What a listener does must not change a decision. */
export function quietly(call: () => unknown): void {
  try {
    whenRejected(call(), () => {})
  } catch {
    // An operator's log that fails is the operator's; what was decided stands.
  }
}
