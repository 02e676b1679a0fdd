import { ClientCertConfigError, refuseUndefinedOptions, refuseUnknownOptions } from '../errors.js'
import type { CertificateChecker, CertificateStatus, ManagedChecker, StatusQuestion } from './certificate-status.js'
import { describeChecker } from './checker.js'
import { CombinedChecker, expectCertificateChecker, hasDenyList, isNeverUnknown } from './combined-checker.js'

export interface SkipShortLivedOptions {
  /** Seconds between notBefore and notAfter below which an end entity is not asked about. At most 10 days. */
  lifetimeBelow?: number
  /** Believe noRevAvail (RFC 9608): an end entity that has it and lives for at most 10 days is not asked about. Default false. */
  noRevAvail?: boolean
}

/** 10 days in seconds: the CA/Browser Forum's bound for certificates that need no revocation until 2026; after it, 7. */
const longest = 10 * 86_400

/**
 * Does not ask about end entities that end before anybody could revoke them: CAs that issue for hours publish nothing about them. Their issuers are
 * asked about as always. A deny list stands beside it, in `firstDefinite`, where it counts for them too; within it, it would be passed over, and is
 * refused.
 *
 * @example
 * revocation: firstDefinite(denyList({ file: './deny.txt' }), skipShortLived(crl({ directory: './crls' }), { lifetimeBelow: 86_400 }))
 */
export function skipShortLived(checker: CertificateChecker, options: SkipShortLivedOptions): ManagedChecker {
  expectCertificateChecker('skipShortLived', checker)
  const { lifetimeBelow, noRevAvail } = digest(options)
  if (hasDenyList(checker))
    throw refuse(
      'the deny list in it would be passed over — firstDefinite(denyList({ … }), skipShortLived(crl({ … }), { … }))',
    )
  const isSkipped = ({ certificate, depth }: StatusQuestion) => {
    if (depth !== 0) return false
    const lifetime = (certificate.notAfter - certificate.notBefore) / 1000
    return lifetime < lifetimeBelow || (noRevAvail && certificate.extensions.noRevAvail === true && lifetime <= longest)
  }
  const statusOf = async (question: StatusQuestion): Promise<CertificateStatus> =>
    isSkipped(question) ? { status: 'good', validUntil: Number.POSITIVE_INFINITY } : checker.statusOf(question)
  const name = `skipShortLived(${checker.name})`
  const describe = () => ({
    kind: 'skipShortLived',
    lifetimeBelowSeconds: lifetimeBelow,
    noRevAvail,
    checker: describeChecker(checker),
  })
  return new CombinedChecker({ name, parts: [checker], statusOf, describe, neverUnknown: isNeverUnknown(checker) })
}

const refuse = (reason: string) => new ClientCertConfigError(`skipShortLived: ${reason}`)

function digest(options: SkipShortLivedOptions): Required<SkipShortLivedOptions> {
  if (typeof options !== 'object' || options === null) throw refuse('expected options — { lifetimeBelow: 86_400 }')
  refuseUnknownOptions('skipShortLived', options, ['lifetimeBelow', 'noRevAvail'])
  refuseUndefinedOptions('skipShortLived', options)
  const { lifetimeBelow, noRevAvail = false } = options
  if (typeof noRevAvail !== 'boolean') throw refuse('noRevAvail is true or false')
  if (lifetimeBelow === undefined && !noRevAvail)
    throw refuse('says nothing — { lifetimeBelow: 86_400 } or { noRevAvail: true }')
  const fits =
    lifetimeBelow === undefined || (Number.isFinite(lifetimeBelow) && lifetimeBelow > 0 && lifetimeBelow <= longest)
  if (!fits) throw refuse(`lifetimeBelow is a number of seconds up to ${longest}, got ${String(lifetimeBelow)}`)
  return { lifetimeBelow: lifetimeBelow ?? 0, noRevAvail }
}
