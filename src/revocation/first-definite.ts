import { ClientCertConfigError } from '../errors.js'
import {
  type CertificateChecker,
  type CertificateStatus,
  isAskedAbout,
  type ManagedChecker,
  type StatusQuestion,
} from './certificate-status.js'
import { describeChecker } from './checker.js'
import { CombinedChecker, expectCertificateChecker, isNeverUnknown } from './combined-checker.js'

type Unknown = Extract<CertificateStatus, { status: 'unknown' }>

/**
 * Asks several checkers about each certificate, in order, until one knows: OCSP for the end entity and CRLs for its issuers, say. `unknown` is passed
 * on, `revoked` and `good` decide. A deny list, wherever it stands, is heard first and can only refuse. Nobody knowing is `unknown`; an exception of
 * one of them is passed on to nobody, and refuses.
 *
 * Closing it closes all of them. Throws `ClientCertConfigError` where one could never be asked.
 *
 * @example
 * revocation: firstDefinite(denyList({ file: './deny.txt' }), ocsp({ responder: 'http://ocsp.corp' }), crl({ directory: './crls' }))
 */
export function firstDefinite(...checkers: readonly CertificateChecker[]): ManagedChecker {
  for (const checker of checkers) expectCertificateChecker('firstDefinite', checker)
  const vetoes = checkers.filter(({ onlyRevokes }) => onlyRevokes)
  const knowing = checkers.filter(({ onlyRevokes }) => !onlyRevokes)
  checkOrder(checkers, knowing)

  async function statusOf(question: StatusQuestion): Promise<CertificateStatus> {
    let validUntil = Number.POSITIVE_INFINITY
    for (const veto of vetoes) {
      if (!isAskedAbout(question, veto)) continue
      const answer = await veto.statusOf(question)
      if (answer.status !== 'good') return answer
      validUntil = Math.min(validUntil, answer.validUntil)
    }
    let unknown: Unknown | undefined
    for (const checker of knowing) {
      if (!isAskedAbout(question, checker)) continue
      const answer = await checker.statusOf(question)
      if (answer.status === 'good') return { ...answer, validUntil: Math.min(validUntil, answer.validUntil) }
      if (answer.status === 'revoked') return answer
      unknown = unknown === undefined ? answer : both(unknown, answer)
    }
    return unknown ?? { status: 'good', validUntil }
  }

  const name = `firstDefinite(${checkers.map((checker) => checker.name).join(', ')})`
  const traits = { onlyRevokes: knowing.length === 0, neverUnknown: knowing.some(isNeverUnknown) }
  // Deny lists are heard first, wherever they stand.
  const describe = () => ({
    kind: 'firstDefinite',
    denyLists: vetoes.map(describeChecker),
    inOrder: knowing.map(describeChecker),
  })
  return new CombinedChecker({ name, parts: checkers, statusOf, describe, ...traits })
}

function checkOrder(checkers: readonly CertificateChecker[], knowing: readonly CertificateChecker[]): void {
  if (checkers.length === 0)
    throw new ClientCertConfigError('firstDefinite: no checker — firstDefinite(ocsp({ … }), crl({ … }))')
  const place = knowing.findIndex(isNeverUnknown)
  const [last, next] = [knowing[place], knowing[place + 1]]
  if (last === undefined || next === undefined) return
  throw new ClientCertConfigError(
    `firstDefinite: ${last.name} admits whose status is unknown, so that ${next.name} is never asked — put allowUnknown around firstDefinite, or last`,
  )
}

function both(first: Unknown, second: Unknown): Unknown {
  const fix = first.fix ?? second.fix
  const reason = `${first.reason}; ${second.reason}`
  return fix === undefined ? { status: 'unknown', reason } : { status: 'unknown', reason, fix }
}
