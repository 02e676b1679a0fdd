import { whenRejected } from './thenable.js'

/** What the authenticator's clock says, in milliseconds since 1970. Throws where that is no time: nothing can be decided then. */
export function momentOf({ now }: { readonly now: () => number }): number {
  const at: unknown = now()
  if (typeof at === 'number' && Math.abs(at) <= lastMilliseconds) return at
  // A promise of a time is none; that it is rejected must not end the process.
  whenRejected(at, () => {})
  throw new RangeError('now() returned no time')
}

/** The same for what decides about nobody: NaN where the clock gives no time. A clock that fails denies every request; it is not reported here. */
export function momentOrNone(clock: { readonly now: () => number }): number {
  try {
    return momentOf(clock)
  } catch {
    return Number.NaN
  }
}

/** ISO 8601, UTC, of milliseconds since 1970; `unknown` of what is no time. */
export function timeText(at: number): string {
  const time = new Date(at)
  return Number.isNaN(time.getTime()) ? 'unknown' : time.toISOString()
}

/** Of what a Date can hold (ECMA-262). */
const lastMilliseconds = 8.64e15
