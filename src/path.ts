import { type AnyClientCertError, ClientCertConfigError, isClientCertError, refuseUnknownOptions } from './errors.js'
import { limits } from './limits.js'
import { type PathProfile, resolveProfile } from './path/profile.js'
import { type IssuerPool, verifiedPaths } from './path/verified-paths.js'
import { firstUnrevoked } from './revocation/checker.js'
import { suppliedCrls } from './revocation/supplied-crls.js'
import { type TrustAnchor, TrustSnapshot } from './trust/trust-snapshot.js'
import { Certificate } from './x509/certificate.js'

export {
  type AnyClientCertError,
  ClientCertConfigError,
  ClientCertError,
  type ClientCertErrorCode,
  isClientCertError,
} from './errors.js'
export type { PathProfile } from './path/profile.js'

export interface PathInput {
  /** DER of the end entity. */
  certificate: Uint8Array
  /** DER, in any order, untrusted; what does not parse is passed over, and is the error should an issuer be missing. */
  intermediates?: readonly Uint8Array[]
  /** DER certificates. */
  trustAnchors: readonly Uint8Array[]
  at: Date
  /**
   * DER. Given, even as an empty list, every certificate of the path but the anchor has to be good by them (RFC 5280 §6.3). What does not parse, or is signed
   * by nobody who may, is passed over.
   */
  crls?: readonly Uint8Array[]
  profile?: Partial<PathProfile>
}

export type PathResult =
  | {
      valid: true
      /** DER, end entity first, the trust anchor last. */
      path: readonly Uint8Array[]
      /** The user-constrained policy set (RFC 5280 §6.1.6); any-policy is `2.5.29.32.0`. */
      policies: readonly string[]
    }
  | { valid: false; error: AnyClientCertError }

/**
 * Validates a certification path (RFC 5280 §6.1), building it from whatever intermediates there are (RFC 4158). Resolves for every
 * input; rejects with {@link ClientCertConfigError} only for options that make no sense.
 *
 * @example
 * const result = await validateCertificationPath({ certificate, intermediates, trustAnchors, at: new Date() })
 * if (!result.valid) console.error(result.error.code, result.error.help)
 */
export async function validateCertificationPath(input: PathInput): Promise<PathResult> {
  refuseUnknownOptions('validateCertificationPath', input, [
    'certificate',
    'intermediates',
    'trustAnchors',
    'at',
    'crls',
    'profile',
  ])
  const profile = resolveProfile(input.profile)
  if (!(input.at instanceof Date) || Number.isNaN(input.at.getTime())) {
    throw new ClientCertConfigError('validateCertificationPath: at is not a valid Date')
  }
  if (!(input.certificate instanceof Uint8Array)) {
    throw new ClientCertConfigError('validateCertificationPath: certificate is not octets (Uint8Array, DER)')
  }
  if (!Array.isArray(input.trustAnchors) || !input.trustAnchors.every((der) => der instanceof Uint8Array)) {
    throw new ClientCertConfigError('validateCertificationPath: trustAnchors is not a list of octets (Uint8Array, DER)')
  }
  if (
    input.crls !== undefined &&
    !(Array.isArray(input.crls) && input.crls.every((der) => der instanceof Uint8Array))
  ) {
    throw new ClientCertConfigError('validateCertificationPath: crls is not a list of octets (Uint8Array, DER)')
  }
  if (input.trustAnchors.length === 0)
    throw new ClientCertConfigError('validateCertificationPath: trustAnchors is empty')
  const { pool, unreadable } = poolOf(input.intermediates ?? [])
  try {
    const endEntity = Certificate.parse(input.certificate, 0)
    const trust = trustOf(input.trustAnchors)
    const at = input.at.getTime()
    const paths = verifiedPaths(endEntity, trust, pool, profile, at)
    const checker = input.crls === undefined ? 'none' : await suppliedCrls(input.crls)
    const { path } = await firstUnrevoked(paths, checker, at, { profile, pool })
    const octets = [...path.certificates, path.anchor.certificate].map(({ der }) => new Uint8Array(der))
    return { valid: true, path: octets, policies: path.policies }
  } catch (error) {
    if (!isClientCertError(error)) throw error
    // The issuer that is missing may be the one that could not be read.
    return { valid: false, error: error.code === 'ERR_CLIENT_CERT_UNKNOWN_ISSUER' ? (unreadable ?? error) : error }
  }
}

/** Callers give the same anchors again and again: what was read of one is kept while its octets are there, and are the same. */
const anchors = new WeakMap<Uint8Array, TrustAnchor>()

const alone = new WeakMap<TrustAnchor, TrustSnapshot>()

/** One anchor, as most give, is a store of its own that is kept with it. */
function trustOf(ders: readonly Uint8Array[]): TrustSnapshot {
  const [first, ...others] = ders.map(anchorOf) as [TrustAnchor, ...TrustAnchor[]]
  if (others.length > 0) return new TrustSnapshot([first, ...others])
  const known = alone.get(first) ?? new TrustSnapshot([first])
  alone.set(first, known)
  return known
}

function anchorOf(der: Uint8Array): TrustAnchor {
  const known = anchors.get(der)
  if (known !== undefined && Buffer.compare(known.certificate.der, der) === 0) return known
  const anchor = { certificate: Certificate.parse(der) }
  anchors.set(der, anchor)
  return anchor
}

/** What does not parse is passed over; what does is found by its name, however many there are. */
function poolOf(intermediates: readonly Uint8Array[]): {
  pool: IssuerPool
  unreadable: AnyClientCertError | undefined
} {
  const certificates: Certificate[] = []
  let unreadable: AnyClientCertError | undefined
  for (const [index, der] of intermediates.entries()) {
    try {
      certificates.push(Certificate.parse(der, index + 1))
    } catch (error) {
      if (!isClientCertError(error)) throw error
      unreadable ??= error
    }
  }
  const pool =
    certificates.length <= limits.presentedCertificates
      ? { presented: certificates }
      : { presented: [], configured: new TrustSnapshot(certificates.map((certificate) => ({ certificate }))) }
  return { pool, unreadable }
}
