import { ClientCertConfigError, nearest, refuseUnknownOptions } from '../errors.js'
import { limits } from '../limits.js'
import { oid } from '../x509/oid.js'
import { signatureAlgorithmNames, signatureAlgorithmOid, signatureAlgorithms } from './signature-algorithms.js'

/** What a certification path must satisfy beyond RFC 5280 §6. Every field has a default; `strict` is all defaults. */
export interface PathProfile {
  /** The purpose every certificate of the path must allow: an identifier, or `'any'` for no check. Default: clientAuth. */
  extendedKeyUsage: string
  /** Refuse an end entity without extendedKeyUsage. Default true. */
  requireExtendedKeyUsage: boolean
  /** Admit a CA certificate as end entity. Default false. */
  allowCaAsClient: boolean
  /** Admit an X.509 v1 or v2 certificate as end entity; an issuer must be version 3 always. Default false. */
  allowVersion1: boolean
  /** Accepted signature algorithms, as names (`'ecdsa-with-SHA256'`) or identifiers. Default: SHA-2 and later. */
  signatureAlgorithms: readonly string[]
  /** Default 2048 (NIST SP 800-131A). */
  minimumRsaBits: number
  /** Default 8192: above it one verification costs milliseconds (Go's CVE-2023-29409). */
  maximumRsaBits: number
  /** Default 65537. Exponents are odd always. */
  minimumRsaExponent: number
  /** Default 2^32 - 1: a wide exponent makes one verification 75 times dearer. */
  maximumRsaExponent: number
  /** Accepted curves of EC keys: `'P-256'`, `'P-384'`, `'P-521'` or identifiers of named curves. Default: these three. */
  curves: readonly string[]
  /**
   * Refuse a path in which a CA lacks subjectKeyIdentifier or a certificate that is not self-issued lacks authorityKeyIdentifier, which RFC 5280
   * §4.2.1.1 and §4.2.1.2 ask of CAs. Default false: both are hints for path building, and many private CAs leave them out.
   */
  requireKeyIdentifiers: boolean
  /**
   * Refuse what RFC 5280 forbids conforming CAs to issue and asks nobody to refuse: basicConstraints, nameConstraints, policyConstraints or
   * inhibitAnyPolicy of a CA that is not critical (§4.2.1.9 to §4.2.1.11, §4.2.1.14), a serial number that is not positive (§4.1.2.2), an IPv4
   * address written as a dNSName (§4.2.1.6), a keyUsage that a key of its type cannot have (RFC 9881 §5, RFC 9295 §3). Default false: what constrains is enforced without being critical, too, and private CAs issue all of it.
   */
  requireConformingCas: boolean
  /** Intermediates between end entity and trust anchor. Default 10. */
  maxIntermediates: number
  /** The user-initial-policy-set (RFC 5280 §6.1.1 (c)): policies to accept. Default: any. It is enforced where a policy is required. */
  initialPolicySet: readonly string[]
  /** initial-explicit-policy: refuse a path that is not valid under one of them. Default false. */
  requireExplicitPolicy: boolean
  /** initial-policy-mapping-inhibit. Default false. */
  inhibitPolicyMapping: boolean
  /** initial-any-policy-inhibit. Default false. */
  inhibitAnyPolicy: boolean
  /** Names compared with constraints in one validation, once for each CA that has any. Default 50,000. */
  maxNameComparisons: number
  /** Nodes of the valid policy graphs (RFC 9618) of one validation. Default 2,048. */
  maxPolicyNodes: number
  /** Signature verifications of one validation. Default 32. */
  maxSignatures: number
  /** Candidate issuers looked at in one validation. Default 1,000. */
  maxBuildSteps: number
}

const curveIdentifiers: ReadonlyMap<string, string> = new Map([
  ['P-256', oid.p256],
  ['P-384', oid.p384],
  ['P-521', oid.p521],
])

/** The default: what issuers of client certificates have been asked to do since 2008. */
export const strictProfile: PathProfile = Object.freeze({
  extendedKeyUsage: oid.clientAuth,
  requireExtendedKeyUsage: true,
  allowCaAsClient: false,
  allowVersion1: false,
  signatureAlgorithms: Object.freeze([
    'sha256WithRSAEncryption',
    'sha384WithRSAEncryption',
    'sha512WithRSAEncryption',
    'id-RSASSA-PSS',
    'ecdsa-with-SHA256',
    'ecdsa-with-SHA384',
    'ecdsa-with-SHA512',
    'id-Ed25519',
    'id-Ed448',
    'id-ml-dsa-44',
    'id-ml-dsa-65',
    'id-ml-dsa-87',
  ]),
  minimumRsaBits: 2048,
  maximumRsaBits: 8192,
  minimumRsaExponent: 65_537,
  maximumRsaExponent: 0xffff_ffff,
  curves: Object.freeze([...curveIdentifiers.keys()]),
  requireKeyIdentifiers: false,
  requireConformingCas: false,
  maxIntermediates: limits.intermediates,
  initialPolicySet: Object.freeze([oid.anyPolicy]),
  requireExplicitPolicy: false,
  inhibitPolicyMapping: false,
  inhibitAnyPolicy: false,
  maxNameComparisons: limits.nameComparisons,
  maxPolicyNodes: limits.policyNodes,
  maxSignatures: limits.signatures,
  maxBuildSteps: limits.buildSteps,
})

/** Also admits an absent extendedKeyUsage and v1 end entities, as nginx and Azure API Management do. */
const compatibleProfile: PathProfile = Object.freeze({
  ...strictProfile,
  requireExtendedKeyUsage: false,
  allowVersion1: true,
})

/** A profile whose values were checked and whose lists are sets of identifiers. */
export interface ResolvedProfile extends Omit<PathProfile, 'signatureAlgorithms' | 'curves' | 'initialPolicySet'> {
  readonly signatureAlgorithms: ReadonlySet<string>
  readonly curves: ReadonlySet<string>
  /** undefined: any-policy. */
  readonly initialPolicySet: ReadonlySet<string> | undefined
}

/** Made once: the path API is asked with it again and again. */
let strict: ResolvedProfile | undefined

/** Throws {@link ClientCertConfigError} for an unknown field or a value out of range. */
export function resolveProfile(profile: 'strict' | 'compatible' | Partial<PathProfile> = 'strict'): ResolvedProfile {
  if (profile === 'strict') {
    strict ??= digest('profile', strictProfile)
    return strict
  }
  if (profile === 'compatible') return digest('profile', compatibleProfile)
  if (typeof profile !== 'object' || profile === null) {
    throw new ClientCertConfigError(
      `profile: expected 'strict', 'compatible' or an object, got ${JSON.stringify(profile)}`,
    )
  }
  refuseUnknownOptions('profile', profile, Object.keys(strictProfile))
  // An undefined field means the default, never "no check".
  const given = Object.fromEntries(Object.entries(profile).filter(([, value]) => value !== undefined))
  return digest('profile', { ...strictProfile, ...given })
}

/** The profile with other values in some of its fields, which an operator wrote under the name `where`. Throws as {@link resolveProfile}. */
export function changedProfile(
  profile: ResolvedProfile,
  changes: Partial<PathProfile>,
  where: string,
): ResolvedProfile {
  const written: ResolvedProfile = digest(where, { ...strictProfile, ...changes })
  const changed = Object.keys(changes) as (keyof PathProfile)[]
  return Object.freeze({ ...profile, ...Object.fromEntries(changed.map((name) => [name, written[name]])) })
}

function digest(where: string, profile: PathProfile): ResolvedProfile {
  for (const [name, fallback] of Object.entries(strictProfile)) {
    checkType(`${where}.${name}`, profile[name as keyof PathProfile], fallback)
  }
  if (profile.extendedKeyUsage !== 'any' && !isIdentifier(profile.extendedKeyUsage)) {
    throw new ClientCertConfigError(
      `${where}.extendedKeyUsage: "${profile.extendedKeyUsage}" is neither an object identifier nor 'any'`,
    )
  }
  return Object.freeze({
    ...profile,
    signatureAlgorithms: identifiers(
      `${where}.signatureAlgorithms`,
      profile.signatureAlgorithms,
      signatureAlgorithmOid,
      signatureAlgorithmNames,
    ),
    initialPolicySet: policies(`${where}.initialPolicySet`, profile.initialPolicySet),
    curves: identifiers(`${where}.curves`, profile.curves, curveIdentifier, [...curveIdentifiers.keys()]),
  })
}

function policies(where: string, written: readonly string[]): ReadonlySet<string> | undefined {
  const wrong = written.find((policy) => !isIdentifier(policy))
  if (wrong !== undefined) throw new ClientCertConfigError(`${where}: "${wrong}" is no object identifier`)
  return written.includes(oid.anyPolicy) ? undefined : fixedSet(new Set(written))
}

/** The effective profile as it could be written, with one name for each algorithm, curve and policy. */
export function describeProfile(profile: ResolvedProfile): PathProfile {
  const nameOfCurve = (identifier: string) =>
    [...curveIdentifiers].find(([, known]) => known === identifier)?.[0] ?? identifier
  return {
    ...profile,
    signatureAlgorithms: [...profile.signatureAlgorithms].map(
      (identifier) => signatureAlgorithms.get(identifier)?.name ?? identifier,
    ),
    curves: [...profile.curves].map(nameOfCurve),
    initialPolicySet: [...(profile.initialPolicySet ?? [oid.anyPolicy])],
  }
}

const isIdentifier = (written: string) => /^[0-2](\.(0|[1-9]\d*))+$/.test(written)

const curveIdentifier = (written: string) =>
  curveIdentifiers.get(written) ?? (isIdentifier(written) ? written : undefined)

function checkType(where: string, value: unknown, fallback: unknown): void {
  const fits =
    typeof fallback === 'number'
      ? Number.isSafeInteger(value) && (value as number) >= 0
      : Array.isArray(fallback)
        ? Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === 'string')
        : typeof value === typeof fallback
  if (fits) return
  const wanted = Array.isArray(fallback) ? 'a list of one or more strings' : `a ${typeof fallback}`
  throw new ClientCertConfigError(`${where}: expected ${wanted}, got ${JSON.stringify(value) ?? typeof value}`)
}

/** Lists that cannot change are looked up once: the defaults, which nearly every profile has. */
const remembered = new WeakMap<readonly string[], ReadonlySet<string>>()

function identifiers(
  where: string,
  written: readonly string[],
  identify: (item: string) => string | undefined,
  known: readonly string[],
): ReadonlySet<string> {
  const digested = remembered.get(written)
  if (digested !== undefined) return digested
  const found = new Set(
    written.map((item) => {
      const identifier = identify(item)
      if (identifier !== undefined) return identifier
      const near = nearest(item, known)
      throw new ClientCertConfigError(
        `${where}: unknown "${item}".${near ? ` Did you mean "${near}"?` : ` Known: ${known.join(', ')}`}`,
      )
    }),
  )
  const fixed = fixedSet(found)
  if (Object.isFrozen(written)) remembered.set(written, fixed)
  return fixed
}

/** A set that a checker, which is told the profile, cannot make wider for everybody. `Object.freeze` alone leaves it its methods. */
function fixedSet<T>(set: Set<T>): ReadonlySet<T> {
  const refuse = () => {
    throw new TypeError('a profile does not change')
  }
  for (const name of ['add', 'delete', 'clear']) Object.defineProperty(set, name, { value: refuse })
  return Object.freeze(set)
}
