import type { CertificationPath } from '../../src/path/certification-path.js'
import { resolveProfile } from '../../src/path/profile.js'
import { verifiedPaths } from '../../src/path/verified-paths.js'
import { type StatusQuestion, statusOfPath } from '../../src/revocation/certificate-status.js'
import type { RevocationStatus } from '../../src/revocation/checker.js'
import { indexEntriesNow } from '../../src/revocation/crl-index.js'
import { CrlSet } from '../../src/revocation/crl-set.js'
import { CrlStatus } from '../../src/revocation/crl-status.js'
import { KnownCrl } from '../../src/revocation/known-crl.js'
import { TrustSnapshot } from '../../src/trust/trust-snapshot.js'
import { Certificate } from '../../src/x509/certificate.js'
import { CertificateRevocationList } from '../../src/x509/crl.js'
import { noon } from './path-forge.js'

/** What CRLs say about the first path of a leaf, asked of the engine itself. */

export interface Encoded {
  readonly der: Uint8Array
}

export interface Surroundings {
  readonly anchors: readonly Encoded[]
  /** What the client presents after its own certificate. */
  readonly via?: readonly Encoded[]
  readonly configured?: readonly Encoded[]
  readonly crls: readonly (Uint8Array | Encoded | KnownCrl)[]
  readonly at?: Date
  /** Milliseconds. */
  readonly skew?: number
  /** Milliseconds. */
  readonly maxAge?: number
  /** The engine to ask, where it is to remember. */
  readonly engine?: CrlStatus
  readonly profile?: Parameters<typeof resolveProfile>[0]
}

export const known = (crl: Uint8Array | Encoded | KnownCrl, where = './test.crl'): KnownCrl => {
  if (crl instanceof KnownCrl) return crl
  const parsed = CertificateRevocationList.parse('der' in crl ? crl.der : crl)
  return new KnownCrl(parsed, indexEntriesNow(parsed), where)
}

export const answer = (leaf: Encoded, surroundings: Surroundings): Promise<RevocationStatus> =>
  asker(leaf, surroundings)(surroundings.crls)

/** The same for many sets of CRLs: what is asked about is read and verified once. */
export function asker(leaf: Encoded, surroundings: Omit<Surroundings, 'crls'>) {
  const { anchors, via = [], configured, at = noon, skew = 0, maxAge = Number.POSITIVE_INFINITY } = surroundings
  const certificates = (list: readonly Encoded[]) => list.map(({ der }) => Certificate.parse(der))
  const snapshot = (list: readonly Encoded[]) =>
    new TrustSnapshot(certificates(list).map((certificate) => ({ certificate })))
  const pool = {
    presented: certificates(via),
    configured: configured === undefined ? undefined : snapshot(configured),
  }
  const profile = resolveProfile(surroundings.profile)
  const paths = verifiedPaths(Certificate.parse(leaf.der), snapshot(anchors), pool, profile, at.getTime())
  const { value } = paths.next()
  if (!isPath(value)) throw value
  const engine = surroundings.engine ?? new CrlStatus({ skew, maxAge, remembersSigners: true })
  return async (crls: Surroundings['crls']): Promise<RevocationStatus> => {
    const set = new CrlSet(crls.map((crl) => known(crl)))
    const checker = { statusOf: (question: StatusQuestion) => engine.of(question, set) }
    return statusOfPath(checker, value, at, { profile, pool })
  }
}

const isPath = (value: unknown): value is CertificationPath => 'certificates' in (value as object)

/** `good`, `revoked @0 keyCompromise`, `unknown @1`. */
export const verdict = async (leaf: Encoded, surroundings: Surroundings): Promise<string> =>
  verdictOf(await answer(leaf, surroundings))

export function verdictOf(status: RevocationStatus): string {
  if (status.status === 'good') return 'good'
  const reason = status.status === 'revoked' && status.reason !== undefined ? ` ${status.reason}` : ''
  return `${status.status} @${status.depth}${reason}`
}

/** Why it is unknown, and what to do: the operator's sentence. */
export async function sentence(leaf: Encoded, surroundings: Surroundings): Promise<string> {
  const status = await answer(leaf, surroundings)
  if (status.status !== 'unknown') throw new Error(`it is ${status.status}`)
  return `${status.reason} — ${status.fix}`
}
