import { ClientCertConfigError, refuseUndefinedOptions, refuseUnknownOptions } from '../errors.js'
import { quietly } from '../quietly.js'
import { warn } from '../warn.js'
import type { CertificateChecker, CertificateStatus, ManagedChecker, StatusQuestion } from './certificate-status.js'
import { describeChecker } from './checker.js'
import { CombinedChecker, expectCertificateChecker, hasDenyList } from './combined-checker.js'
import { publish } from './events.js'

export interface AllowUnknownOptions {
  /** Why this is acceptable here, for whoever reads the configuration next. Required, and repeated in the warning. */
  because: string
  /** Seconds after which somebody who was admitted so is asked about again. Default 60, at most 3,600. */
  recheckAfter?: number
  /** Hears each time a certificate is let pass so. What it throws, or its promise rejects with, changes nothing. */
  onAllowed?: (allowed: { readonly reason: string; readonly fingerprint: string; readonly count: number }) => void
}

/** A checker with a count of what it let pass. */
export interface LenientChecker extends ManagedChecker {
  /** How often a certificate was let pass although its status was unknown. */
  readonly allowed: number
}

const longestRecheck = 3_600

/**
 * Soft-fail: admits certificates whose status could not be learned. The one place where that is possible, said in the configuration, warned of at start,
 * counted and reported. Never applied to a certificate that is revoked, nor to a checker that throws. Whoever can cut us off from the responder can then
 * use a revoked certificate.
 *
 * A deny list stands beside it, in `firstDefinite`; within it, one that could not be loaded would admit, and it is refused. `ready()` still rejects
 * while what it asks is not ready: whether to serve before is for the application to say.
 *
 * @example
 * revocation: allowUnknown(ocsp({ responder: 'http://ocsp.corp' }), { because: 'certificates live for a day' })
 */
export function allowUnknown(checker: CertificateChecker, options: AllowUnknownOptions): LenientChecker {
  expectCertificateChecker('allowUnknown', checker)
  const { because, recheckAfter, onAllowed } = digest(options)
  if (hasDenyList(checker))
    throw refuse(
      'the deny list in it would admit while it is not loaded — firstDefinite(denyList({ … }), allowUnknown(crl({ … }), { … }))',
    )
  warn(
    'MTLS_SOFT_FAIL',
    `allowUnknown(${checker.name}): certificates of unknown status are admitted, because ${because}`,
  )
  let allowed = 0

  async function statusOf(question: StatusQuestion): Promise<CertificateStatus> {
    const answer = await checker.statusOf(question)
    if (answer.status !== 'unknown') return answer
    allowed++
    const { fingerprint } = question.certificate
    const report = { reason: answer.reason, fingerprint, count: allowed }
    publish({ type: 'unknown-allowed', ...report })
    quietly(() => onAllowed?.(report))
    return { status: 'good', validUntil: question.at + recheckAfter * 1000 }
  }

  const name = `allowUnknown(${checker.name})`
  const describe = () => ({
    kind: 'allowUnknown',
    because,
    recheckAfterSeconds: recheckAfter,
    checker: describeChecker(checker),
  })
  return new Lenient({ name, parts: [checker], statusOf, describe, neverUnknown: true }, () => allowed)
}

class Lenient extends CombinedChecker implements LenientChecker {
  readonly #count: () => number

  constructor(combination: ConstructorParameters<typeof CombinedChecker>[0], count: () => number) {
    super(combination)
    this.#count = count
  }

  get allowed(): number {
    return this.#count()
  }
}

const refuse = (reason: string) => new ClientCertConfigError(`allowUnknown: ${reason}`)

function digest(options: AllowUnknownOptions) {
  if (
    typeof options !== 'object' ||
    options === null ||
    typeof options.because !== 'string' ||
    options.because.trim() === ''
  )
    throw refuse("say why — allowUnknown(checker, { because: 'certificates live for a day' })")
  refuseUnknownOptions('allowUnknown', options, ['because', 'recheckAfter', 'onAllowed'])
  refuseUndefinedOptions('allowUnknown', options)
  const { because, recheckAfter = 60, onAllowed } = options
  if (!(Number.isFinite(recheckAfter) && recheckAfter > 0 && recheckAfter <= longestRecheck))
    throw refuse(`recheckAfter is a number of seconds up to ${longestRecheck}, got ${String(recheckAfter)}`)
  if (onAllowed !== undefined && typeof onAllowed !== 'function') throw refuse('onAllowed is not a function')
  return { because, recheckAfter, onAllowed }
}
