/** A checker whose responder, clock and network are the test's. */
import type { CertificationPath } from '../../src/path/certification-path.js'
import { type ResolvedProfile, resolveProfile } from '../../src/path/profile.js'
import type { CertificateStatus, StatusQuestion } from '../../src/revocation/certificate-status.js'
import type { DocumentFetcher, DocumentRequest, FetchedDocument } from '../../src/revocation/document-fetcher.js'
import { type OcspOptions, ocsp } from '../../src/revocation/ocsp-checker.js'
import { Certificate } from '../../src/x509/certificate.js'
import { certIdDer, pointOf, type ResponsePlan, respond, serialOf } from './ocsp-forge.js'
import { type Forged, forge, noon, poolKey } from './path-forge.js'

export const responderUrl = 'http://ocsp.test/'
export const strict: ResolvedProfile = resolveProfile('strict')

export const certIdOfForged = (leaf: Forged, issuer: Forged, hash: 'sha1' | 'sha256' = 'sha1'): Uint8Array =>
  certIdDer({ name: issuer.subject, point: pointOf(issuer.key), serial: serialOf(leaf), hash })

type Reply = Uint8Array | Error | (Partial<FetchedDocument> & { bytes: Uint8Array })

export interface Scene {
  readonly checker: ReturnType<typeof ocsp>
  readonly requests: DocumentRequest[]
  /** Milliseconds since 1970. */
  time: number
  /** What the responder answers next; a function is asked each time. */
  reply: Reply | ((request: DocumentRequest) => Reply | Promise<Reply>)
  /** A response about alice, signed by her CA unless `plan` says otherwise. */
  says(plan?: ResponsePlan): Uint8Array
  ask(options?: { leaf?: Forged; issuer?: Forged; profile?: ResolvedProfile }): Promise<CertificateStatus>
  readonly fetcher: DocumentFetcher & { closed: boolean }
}

/** Its key is nobody else's: those that are handed out in turn come again. */
export const ca: Forged = forge({ subject: 'CA', key: poolKey(60) })
export const alice: Forged = forge({ subject: 'alice', issuer: ca })

const parsed = new Map<Forged, Certificate>()
export function certificateOf(forged: Forged): Certificate {
  const known = parsed.get(forged) ?? Certificate.parse(forged.der)
  parsed.set(forged, known)
  return known
}

export function scene(options: Partial<OcspOptions> = {}): Scene {
  const requests: DocumentRequest[] = []
  const fetcher = {
    closed: false,
    async fetch(request: DocumentRequest): Promise<FetchedDocument> {
      requests.push(request)
      const { reply } = made
      const given = typeof reply === 'function' ? await reply(request) : reply
      if (given instanceof Error) throw given
      const document = given instanceof Uint8Array ? { bytes: given } : given
      return { contentType: 'application/ocsp-response', fetchedAt: made.time, freshUntil: undefined, ...document }
    },
    close() {
      fetcher.closed = true
    },
  }
  const responder = options.fromCertificate === true ? {} : { responder: responderUrl }
  const made: Scene = {
    checker: ocsp({ ...responder, fetcher, now: () => made.time, ...options }),
    requests,
    time: noon.getTime(),
    reply: new Error('no reply was set'),
    says: (plan = {}) => respond(certIdOfForged(alice, ca), ca, plan),
    ask: ({ leaf = alice, issuer = ca, profile = strict } = {}) =>
      Promise.resolve(made.checker.statusOf(questionAbout(leaf, issuer, made.time, profile))),
    fetcher,
  }
  return made
}

export const questionAbout = (leaf: Forged, issuer: Forged, at: number, profile: ResolvedProfile): StatusQuestion => ({
  certificate: certificateOf(leaf),
  issuer: certificateOf(issuer),
  depth: 0,
  path: undefined as unknown as CertificationPath,
  at,
  context: { profile, pool: { presented: [] } },
})
