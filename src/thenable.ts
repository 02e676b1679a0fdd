/**
 * Whether something has to be waited for. `instanceof Promise` is no such question: zone.js, and whoever else puts a class of his own in the place of
 * the global one, makes it false of what every async function returns, and a decision that was not waited for has no error in it.
 */
export const isThenable = <T>(value: T | Promise<T>): value is Promise<T> =>
  ((typeof value === 'object' && value !== null) || typeof value === 'function') &&
  typeof (value as { readonly then?: unknown }).then === 'function'

/** What it rejects with is for `failed`; what is no promise rejects with nothing. */
export function whenRejected(result: unknown, failed: (error: unknown) => void): void {
  if (isThenable(result)) result.then(undefined, failed)
}
