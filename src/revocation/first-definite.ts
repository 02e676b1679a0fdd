import { ClientCertConfigError } from '../errors.js'
import type { CertificateChecker, CertificateStatus, StatusQuestion } from './certificate-status.js'
import { CombinedChecker, expectCertificateChecker } from './combined-checker.js'

/**
 * Asks several checkers about each certificate, in order, until one knows: OCSP for the end entity and CRLs for its issuers, say. `unknown` is passed
 * on, `revoked` and `good` decide. A deny list, wherever it stands, is heard first and can only refuse. Nobody knowing is `unknown`.
 *
 * @example
 * revocation: firstDefinite(denyList({ file: './deny.txt' }), ocsp({ responder: 'http://ocsp.corp' }), crl({ directory: './crls' }))
 */
export function firstDefinite(...checkers: readonly CertificateChecker[]): CertificateChecker {
  for (const checker of checkers) expectCertificateChecker('firstDefinite', checker)
  const vetoes = checkers.filter(({ onlyRevokes }) => onlyRevokes)
  const knowing = checkers.filter(({ onlyRevokes }) => !onlyRevokes)
  if (checkers.length === 0)
    throw new ClientCertConfigError('firstDefinite: no checker — firstDefinite(ocsp({ … }), crl({ … }))')

  async function statusOf(question: StatusQuestion): Promise<CertificateStatus> {
    let validUntil = Number.POSITIVE_INFINITY
    for (const veto of vetoes) {
      const answer = await veto.statusOf(question)
      if (answer.status !== 'good') return answer
      validUntil = Math.min(validUntil, answer.validUntil)
    }
    let unknown: Extract<CertificateStatus, { status: 'unknown' }> | undefined
    for (const checker of knowing) {
      const answer = await checker.statusOf(question)
      if (answer.status === 'good') return { ...answer, validUntil: Math.min(validUntil, answer.validUntil) }
      if (answer.status === 'revoked') return answer
      unknown = unknown === undefined ? answer : both(unknown, answer)
    }
    return unknown ?? { status: 'good', validUntil }
  }

  const name = `firstDefinite(${checkers.map((checker) => checker.name).join(', ')})`
  return new CombinedChecker({ name, parts: checkers, statusOf, onlyRevokes: knowing.length === 0 })
}

const both = (
  first: Extract<CertificateStatus, { status: 'unknown' }>,
  second: Extract<CertificateStatus, { status: 'unknown' }>,
): Extract<CertificateStatus, { status: 'unknown' }> => {
  const fix = first.fix ?? second.fix
  const reason = `${first.reason}; ${second.reason}`
  return fix === undefined ? { status: 'unknown', reason } : { status: 'unknown', reason, fix }
}
