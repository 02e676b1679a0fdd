import { limits } from '../limits.js'
import type { CertificationPath } from '../path/certification-path.js'
import type { ResolvedProfile } from '../path/profile.js'
import { verifySignedInSlices } from '../path/signature.js'
import { endOf } from '../path/validate-path.js'
import { verifiedPaths } from '../path/verified-paths.js'
import { TrustSnapshot } from '../trust/trust-snapshot.js'
import type { Certificate } from '../x509/certificate.js'
import type { CertificateRevocationList } from '../x509/crl.js'
import { KeyUsageBit } from '../x509/extensions.js'
import type { StatusQuestion } from './certificate-status.js'
import { nextTurn } from './next-turn.js'

/** Milliseconds since 1970 until which a whole path to a CRL issuer is free of revoked certificates; undefined where it is not. */
export type UnrevokedUntil = (path: CertificationPath, question: StatusQuestion) => Promise<number | undefined>

/** A certificate of the CRL issuer that signed the CRL, and until when it may be believed: milliseconds since 1970, inclusive. */
export interface CrlSigner {
  readonly certificate: Certificate
  readonly until: number
}

/**
 * Who signed a CRL (RFC 5280 §6.3.3 (f), (g)). A signature is computed once for a CRL and a key, and remembered for as long as the CRL is there;
 * that the key's certificate is valid is asked anew each time.
 */
export class CrlSigners {
  readonly #verdicts = new WeakMap<CertificateRevocationList, Map<string, Promise<boolean>>>()
  /** Those that were found elsewhere than in the path. */
  readonly #found = new WeakMap<CertificateRevocationList, readonly Certificate[]>()
  readonly #unrevokedUntil: UnrevokedUntil
  readonly #remembers: boolean

  constructor(unrevokedUntil: UnrevokedUntil, remembers: boolean) {
    this.#unrevokedUntil = unrevokedUntil
    this.#remembers = remembers
  }

  /** The first certificate of the CRL issuer, valid under the anchor of the path that is asked about, that has signed it. */
  async signerOf(crl: CertificateRevocationList, question: StatusQuestion): Promise<CrlSigner | undefined> {
    const { path, context } = question
    const inPath = [...path.certificates.slice(question.depth + 1), path.anchor.certificate]
    for (const certificate of inPath) {
      if (!isIssuerOf(crl, certificate)) continue
      // The path itself ends with it.
      if (await this.#isSignedBy(crl, certificate, context.profile))
        return { certificate, until: Number.POSITIVE_INFINITY }
    }
    const found = this.#found.get(crl) ?? []
    for (const certificate of otherIssuers(crl, question, found, inPath)) {
      for (const candidate of pathsOf(certificate, question)) {
        if (!(await this.#isSignedBy(crl, certificate, context.profile))) break
        const until = await this.#unrevokedUntil(candidate, question)
        if (until === undefined) continue
        const others = found.filter(({ fingerprint }) => fingerprint !== certificate.fingerprint)
        if (this.#remembers) this.#found.set(crl, [certificate, ...others].slice(0, limits.crlSigners))
        return { certificate, until: Math.min(until, endOf(candidate.notAfter) - 1) }
      }
    }
    return undefined
  }

  #isSignedBy(crl: CertificateRevocationList, { publicKey }: Certificate, profile: ResolvedProfile): Promise<boolean> {
    // What the profile accepts is not remembered: the next one who asks may have another.
    if (!profile.signatureAlgorithms.has(crl.signatureAlgorithm.oid)) return Promise.resolve(false)
    const verdicts = this.#verdicts.get(crl) ?? new Map<string, Promise<boolean>>()
    this.#verdicts.set(crl, verdicts)
    const key = Buffer.from(publicKey.der).toString('latin1')
    const known = verdicts.get(key)
    if (known !== undefined) return known
    const verdict = verifySignedInSlices(crl, publicKey, profile, nextTurn).then((judged) => judged.verdict === 'valid')
    verdicts.set(key, verdict)
    return verdict
  }
}

/**
 * §6.3.3 (f): it has the name, and may sign CRLs. RFC 10007 asks for a keyUsage that says so. Of the CAs of the path that is not asked where they
 * have none, as RFC 5280 and OpenSSL do: their key signed the certificate itself, and `openssl req -x509` makes them like that.
 */
function isIssuerOf(
  crl: CertificateRevocationList,
  { subject, extensions }: Certificate,
  absent = KeyUsageBit.cRLSign,
) {
  const { keyUsage = absent } = extensions
  return (keyUsage & KeyUsageBit.cRLSign) !== 0 && subject.equals(crl.issuer)
}

/**
 * Certificates of the CRL issuer's name from elsewhere, those whose key identifier agrees first. What the peer presents comes last and has places of
 * its own: it must not crowd out the one that signed the CRL which lists the peer.
 */
function otherIssuers(
  crl: CertificateRevocationList,
  { context }: StatusQuestion,
  found: readonly Certificate[],
  inPath: readonly Certificate[],
): readonly Certificate[] {
  const { presented, configured, memory } = context.pool
  const wanted = crl.extensions.authorityKeyIdentifier?.keyIdentifier
  const agrees = ({ extensions: { subjectKeyIdentifier } }: Certificate) =>
    wanted !== undefined && subjectKeyIdentifier !== undefined && Buffer.compare(wanted, subjectKeyIdentifier) === 0
  const best = (certificates: readonly Certificate[]) => {
    const named = certificates.filter((one) => isIssuerOf(crl, one, 0) && !inPath.includes(one))
    const distinct = [...new Map(named.map((one) => [one.fingerprint, one])).values()]
    return [...distinct.filter(agrees), ...distinct.filter((one) => !agrees(one))].slice(0, limits.crlSigners)
  }
  const own = configured?.bySubject(crl.issuer).map(({ certificate }) => certificate) ?? []
  return [...best(found), ...best([...own, ...(memory?.bySubject(crl.issuer) ?? [])]), ...best(presented)]
}

/**
 * §6.3.3 (f): its certification paths end in the trust anchor the certificate's path ends in. A budget that runs out is thrown: it proves nothing, and
 * a peer whose maze makes us overlook the newest CRL must not be judged by an older.
 */
function* pathsOf(candidate: Certificate, { path, at, context }: StatusQuestion): Generator<CertificationPath, void> {
  const trust = new TrustSnapshot([path.anchor])
  const paths = verifiedPaths(candidate, trust, context.pool, crlIssuerProfile(context.profile), at)
  for (let next = paths.next(); !next.done; next = paths.next()) yield next.value
}

const profiles = new WeakMap<ResolvedProfile, ResolvedProfile>()

/** A CRL issuer is no client: it may be a CA, and needs no purpose but cRLSign. */
function crlIssuerProfile(profile: ResolvedProfile): ResolvedProfile {
  const known = profiles.get(profile)
  if (known !== undefined) return known
  const own = Object.freeze({
    ...profile,
    extendedKeyUsage: 'any',
    requireExtendedKeyUsage: false,
    allowCaAsClient: true,
    requireExplicitPolicy: false,
  })
  profiles.set(profile, own)
  return own
}
