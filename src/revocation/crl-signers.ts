import { isClientCertError } from '../errors.js'
import { limits } from '../limits.js'
import type { CertificationPath } from '../path/certification-path.js'
import type { ResolvedProfile } from '../path/profile.js'
import { verifySignedInSlices } from '../path/signature.js'
import { verifiedPaths } from '../path/verified-paths.js'
import { TrustSnapshot } from '../trust/trust-snapshot.js'
import type { Certificate } from '../x509/certificate.js'
import type { CertificateRevocationList } from '../x509/crl.js'
import { KeyUsageBit } from '../x509/extensions.js'
import type { StatusQuestion } from './certificate-status.js'
import { nextTurn } from './next-turn.js'

/** Whether a whole path to a CRL issuer, of which none is in the path that is asked about, is free of revoked certificates. */
export type IsUnrevoked = (path: CertificationPath, question: StatusQuestion) => Promise<boolean>

/**
 * Who signed a CRL (RFC 5280 §6.3.3 (f), (g)). A signature is computed once for a CRL and a key, and remembered for as long as the CRL is there;
 * that the key's certificate is valid is asked anew each time.
 */
export class CrlSigners {
  readonly #verdicts = new WeakMap<CertificateRevocationList, Map<string, Promise<boolean>>>()
  readonly #isUnrevoked: IsUnrevoked

  constructor(isUnrevoked: IsUnrevoked) {
    this.#isUnrevoked = isUnrevoked
  }

  /** Whether a certificate of the CRL issuer, valid under the anchor of the path that is asked about, has signed it. */
  async isSigned(crl: CertificateRevocationList, question: StatusQuestion): Promise<boolean> {
    const { path, context } = question
    const inPath = [...path.certificates.slice(question.depth + 1), path.anchor.certificate]
    for (const candidate of inPath) {
      if (!isIssuerOf(crl, candidate)) continue
      if (await this.#isSignedBy(crl, candidate, context.profile)) return true
    }
    for (const candidate of otherIssuers(crl, question, inPath)) {
      const found = pathOf(candidate, question)
      if (found === undefined) continue
      if ((await this.#isSignedBy(crl, candidate, context.profile)) && (await this.#isUnrevoked(found, question)))
        return true
    }
    return false
  }

  #isSignedBy(crl: CertificateRevocationList, { publicKey }: Certificate, profile: ResolvedProfile): Promise<boolean> {
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

/** §6.3.3 (f): it has the name, and may sign CRLs. */
function isIssuerOf(crl: CertificateRevocationList, { subject, extensions }: Certificate): boolean {
  const { keyUsage } = extensions
  return subject.equals(crl.issuer) && (keyUsage === undefined || (keyUsage & KeyUsageBit.cRLSign) !== 0)
}

/** Certificates of the CRL issuer's name from elsewhere, those whose key identifier agrees first. */
function otherIssuers(
  crl: CertificateRevocationList,
  { context }: StatusQuestion,
  inPath: readonly Certificate[],
): readonly Certificate[] {
  const { presented, configured, memory } = context.pool
  const named = [
    ...presented,
    ...(configured?.bySubject(crl.issuer).map(({ certificate }) => certificate) ?? []),
    ...(memory?.bySubject(crl.issuer) ?? []),
  ].filter((candidate) => isIssuerOf(crl, candidate) && !inPath.includes(candidate))
  const wanted = crl.extensions.authorityKeyIdentifier?.keyIdentifier
  const agrees = ({ extensions: { subjectKeyIdentifier } }: Certificate) =>
    wanted !== undefined && subjectKeyIdentifier !== undefined && Buffer.compare(wanted, subjectKeyIdentifier) === 0
  const distinct = [...new Map(named.map((candidate) => [candidate.fingerprint, candidate])).values()]
  return [...distinct.filter(agrees), ...distinct.filter((candidate) => !agrees(candidate))].slice(0, limits.crlSigners)
}

/** §6.3.3 (f): its certification path ends in the trust anchor the certificate's path ends in. */
function pathOf(candidate: Certificate, { path, at, context }: StatusQuestion): CertificationPath | undefined {
  const trust = new TrustSnapshot([path.anchor])
  try {
    const { value, done } = verifiedPaths(candidate, trust, context.pool, crlIssuerProfile(context.profile), at).next()
    return done ? undefined : value
  } catch (error) {
    // A budget that ran out proves nothing; the CRL stays unverified.
    if (isClientCertError(error)) return undefined
    throw error
  }
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
