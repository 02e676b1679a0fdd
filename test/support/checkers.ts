/** Checkers that answer what a test tells them to, and questions to put to them. */
import type { CertificationPath } from '../../src/path/certification-path.js'
import { resolveProfile } from '../../src/path/profile.js'
import { verifiedPaths } from '../../src/path/verified-paths.js'
import type { CertificateChecker, CertificateStatus, StatusQuestion } from '../../src/revocation/certificate-status.js'
import type { TestCredential } from '../../src/testing.js'
import { type Pin, TrustSnapshot } from '../../src/trust/trust-snapshot.js'
import { Certificate } from '../../src/x509/certificate.js'
import { noon } from './pki.js'

/** What a checker does when it is asked. */
export type Behaviour = 'good' | 'revoked' | 'unknown' | 'throws' | 'rejects' | unknown

export const good = (validUntil = Number.POSITIVE_INFINITY): CertificateStatus => ({ status: 'good', validUntil })

function act(behaviour: Behaviour, name: string): unknown {
  if (behaviour === 'throws') throw new Error(`${name} is broken`)
  if (behaviour === 'rejects') return Promise.reject(new Error(`${name} is broken`))
  if (behaviour === 'good') return good()
  if (behaviour === 'revoked') return { status: 'revoked', reason: name }
  if (behaviour === 'unknown') return { status: 'unknown', reason: `${name} does not know`, fix: `ask ${name}` }
  return behaviour
}

export interface TestChecker extends CertificateChecker {
  generation: number
  /** Of every question: the name of the certificate. */
  readonly asked: string[]
  behaviour: Behaviour | ((question: StatusQuestion) => Behaviour)
  closed: number
}

/** One that answers so, or by the question. */
export function checker(
  behaviour: TestChecker['behaviour'],
  more: Partial<Omit<CertificateChecker, 'generation'>> = {},
): TestChecker {
  const made: TestChecker = {
    name: 'mine',
    generation: 0,
    asked: [],
    behaviour,
    closed: 0,
    check: () => {
      throw new Error('combinators ask about single certificates')
    },
    statusOf: (question) => {
      made.asked.push(question.certificate.subject.get('CN') ?? '')
      const { behaviour: now } = made
      return act(
        typeof now === 'function' ? (now as (question: StatusQuestion) => Behaviour)(question) : now,
        made.name,
      ) as CertificateStatus
    },
    close: () => {
      made.closed++
    },
    ...more,
  }
  return made
}

export const context = { profile: resolveProfile('strict'), pool: { presented: [] } }

/** The first path of a credential to these anchors, or to itself where it is pinned. */
export function pathOf(
  { certificate, chain }: Pick<TestCredential, 'certificate' | 'chain'>,
  anchors: readonly { readonly der: Uint8Array }[],
  pinned: boolean = false,
): CertificationPath {
  const trust = anchors.map(({ der }) => ({ certificate: Certificate.parse(der) }))
  const pins: Pin[] = pinned ? [{ certificate: Certificate.parse(certificate.der), by: 'certificate' }] : []
  const pool = { presented: chain.map(({ der }) => Certificate.parse(der)) }
  const paths = verifiedPaths(
    Certificate.parse(certificate.der),
    new TrustSnapshot(trust, pins),
    pool,
    context.profile,
    noon.getTime(),
  )
  const { value, done } = paths.next()
  if (done) throw value
  return value
}

/** About the certificate at that depth of the path. */
export function questionAbout(path: CertificationPath, depth = 0, at = noon.getTime()): StatusQuestion {
  const { certificates, anchor } = path
  const certificate = certificates[depth] as Certificate
  return { certificate, issuer: certificates[depth + 1] ?? anchor.certificate, depth, path, at, context }
}
