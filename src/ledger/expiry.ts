import { ClientCertConfigError, refuseUndefinedOptions, refuseUnknownOptions } from '../errors.js'
import { endOf } from '../path/validate-path.js'

/** When certificates of clients are warned about before they end. */
export interface ExpiryOptions {
  /**
   * Days before the end, once each. Default `[30, 7, 1]`; an empty list for no warnings. Those longer than half of a certificate's own lifetime do not
   * apply to it.
   */
  warnDays?: readonly number[]
}

export const dayMilliseconds = 86_400_000
const defaultWarnDays: readonly number[] = [30, 7, 1]
const mostWarnings = 16
const mostDays = 3_660

/** The thresholds in days, the longest first. Throws {@link ClientCertConfigError}. */
export function resolveExpiry(given: ExpiryOptions = {}): readonly number[] {
  const example = 'expiry: { warnDays: [30, 7, 1] }'
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw new ClientCertConfigError(`expiry: expected options — ${example}`)
  }
  refuseUnknownOptions('expiry', given, ['warnDays'])
  refuseUndefinedOptions('expiry', given)
  const { warnDays = defaultWarnDays } = given
  const isDays = (days: unknown) => typeof days === 'number' && days > 0 && days <= mostDays
  if (!Array.isArray(warnDays) || warnDays.length > mostWarnings || !warnDays.every(isDays)) {
    throw new ClientCertConfigError(
      `expiry: warnDays is a list of at most ${mostWarnings} numbers of days above 0, ${mostDays} at most — ${example}`,
    )
  }
  return Object.freeze([...new Set<number>(warnDays)].sort((a, b) => b - a))
}

interface Validity {
  /** Milliseconds since 1970. */
  readonly notBefore: number
  readonly notAfter: number
}

/** Whole days until the certificate ends, 0 where it has ended. */
export const daysLeft = ({ notAfter }: Pick<Validity, 'notAfter'>, at: number): number =>
  Math.max(0, Math.floor((endOf(notAfter) - at) / dayMilliseconds))

/**
 * The threshold a certificate has come under, and when it will come under the next. Of several at once the shortest says it all.
 *
 * @param told the shortest that was told of before
 * @param at milliseconds since 1970, as `due` is; `due` is Infinity where no threshold is left
 */
export function expiryWarning(
  warnDays: readonly number[],
  { notBefore, notAfter }: Validity,
  told: number,
  at: number,
): { readonly days: number | undefined; readonly due: number } {
  const end = endOf(notAfter)
  const left = warnDays.filter((days) => days < told && days * dayMilliseconds * 2 <= end - notBefore)
  const startOf = (days: number) => end - days * dayMilliseconds
  const days = left.findLast((each) => startOf(each) <= at)
  const next = left.find((each) => startOf(each) > at)
  return { days, due: next === undefined ? Number.POSITIVE_INFINITY : startOf(next) }
}
