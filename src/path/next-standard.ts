import {
  type AnyClientCertError,
  ClientCertConfigError,
  deny,
  isClientCertError,
  refuseUndefinedOptions,
  refuseUnknownOptions,
} from '../errors.js'
import type { Certificate } from '../x509/certificate.js'
import { Budget } from './budget.js'
import type { CertificationPath } from './certification-path.js'
import { checkEndEntity, checkIssuance, checkIssuerExtendedKeyUsage } from './extension-profile.js'
import { checkPublicKey } from './key-policy.js'
import { changedProfile, type PathProfile, type ResolvedProfile, strictProfile } from './profile.js'
import { checkSignature } from './signature.js'
import { signatureAlgorithms } from './signature-algorithms.js'
import { type SignatureCheck, validatePath } from './validate-path.js'

/** Those fields of a profile that certificates can fall short of; the others bound what one validation costs. */
export type NextStandard = Partial<Omit<PathProfile, (typeof costs)[number]>>

const costs = ['maxIntermediates', 'maxNameComparisons', 'maxPolicyNodes', 'maxSignatures', 'maxBuildSteps'] as const

/** Reads what will be asked of certificates one day: the profile in force with some fields changed. Throws {@link ClientCertConfigError}. */
export function resolveNextStandard(given: NextStandard, profile: ResolvedProfile): ResolvedProfile {
  const where = 'nextStandard'
  const example = `${where}: { minimumRsaBits: 3072 }`
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw new ClientCertConfigError(`${where}: expected fields of a profile — ${example}`)
  }
  const cost = costs.find((name) => Object.hasOwn(given, name))
  if (cost !== undefined) {
    throw new ClientCertConfigError(
      `${where}: ${cost} bounds the cost of a validation, and is no standard of certificates`,
    )
  }
  refuseUnknownOptions(
    where,
    given,
    Object.keys(strictProfile).filter((name) => !(costs as readonly string[]).includes(name)),
  )
  refuseUndefinedOptions(where, given)
  if (Object.keys(given).length === 0) {
    throw new ClientCertConfigError(`${where}: asks nothing — ${example}, or leave it out`)
  }
  return changedProfile(profile, given, where)
}

/**
 * What a verified path falls short of in another profile: every reason, as the refusals it would be. Nothing is verified anew, and no other path is
 * looked for. Empty: it meets it.
 *
 * @param at milliseconds since 1970 at which the path was valid
 */
export function shortfallsOf(
  { certificates, anchor }: CertificationPath,
  profile: ResolvedProfile,
  at: number,
): readonly AnyClientCertError[] {
  const found: AnyClientCertError[] = []
  const look = (check: () => void) => {
    try {
      check()
    } catch (error) {
      if (!isClientCertError(error)) throw error
      found.push(error)
    }
  }
  const endEntity = certificates[0] as Certificate
  look(() => checkPublicKey(endEntity, 0, profile))
  // A pinned certificate is judged by time and key alone, under this profile as under any.
  if (anchor.certificate === endEntity) return found
  look(() => checkAlgorithm(endEntity, 0, profile))
  look(() => checkIssuance(endEntity, 0, profile))
  look(() => checkEndEntity(endEntity, profile))
  certificates.slice(1).forEach((issuer, i) => {
    look(() => checkPublicKey(issuer, i + 1, profile))
    look(() => checkAlgorithm(issuer, i + 1, profile))
    look(() => checkIssuance(issuer, i + 1, profile))
    look(() => checkIssuerExtendedKeyUsage(issuer, i + 1, profile))
  })
  look(() => checkPublicKey(anchor.certificate, certificates.length, profile))
  if (found.length > 0) return found
  // What only the path as a whole can tell: its policies. Its signatures were verified; an operator's exception for its end entity is another matter.
  const leniency = { profile, expired: true, notYetValid: true, until: at }
  const budget = new Budget(profile)
  const isSignedBy: SignatureCheck = (certificate, depth, key) =>
    certificate !== anchor.certificate || checkSignature(certificate, depth, key, profile, budget)
  const inputs = { profile, at, isSignedBy, budget, leniency }
  look(() => void validatePath(certificates, anchor.certificate, inputs))
  return found
}

function checkAlgorithm(certificate: Certificate, depth: number, profile: ResolvedProfile): void {
  const { oid } = certificate.signatureAlgorithm
  if (profile.signatureAlgorithms.has(oid)) return
  const algorithm = signatureAlgorithms.get(oid)?.name ?? oid
  const detail = { subject: certificate.subject.toString(), algorithm, reason: 'it is not accepted' }
  throw deny('ERR_CLIENT_CERT_ALGORITHM', detail, { depth })
}
