import { deny } from '../errors.js'
import type { SubjectPublicKeyInfo } from '../x509/algorithm.js'
import type { Certificate } from '../x509/certificate.js'
import type { Budget } from './budget.js'
import {
  checkEndEntity,
  checkExtensions,
  checkIssuance,
  checkIssuerExtendedKeyUsage,
  checkKeyCertSign,
} from './extension-profile.js'
import { checkPoint, checkPublicKey } from './key-policy.js'
import type { Leniency } from './leniency.js'
import { type ConstraintIndex, checkNames, constraintsOf } from './name-constraints.js'
import { PolicyGraph } from './policy-graph.js'
import type { ResolvedProfile } from './profile.js'
import { checkSignedAlgorithm } from './signature.js'

/** Whether `certificate` was signed by `key`; the search remembers answers, so that no signature is computed twice. */
export type SignatureCheck = (certificate: Certificate, depth: number, key: SubjectPublicKeyInfo) => boolean

/** RFC 5280 §6.1.2, by the names it gives the variables. */
interface State {
  workingPublicKey: SubjectPublicKeyInfo
  workingIssuer: Certificate
  /** max_path_length, and the certificate whose pathLenConstraint it comes from. */
  maxPathLength: number
  limitedBy: Certificate
  /** permitted_subtrees and excluded_subtrees: those of each CA above. */
  constraints: ConstraintIndex[]
  validPolicyGraph: PolicyGraph
  explicitPolicy: number
  policyMapping: number
  inhibitAnyPolicy: number
}

/** What path validation is asked with (§6.1.1), beside the path and its anchor. */
export interface PathInputs {
  readonly profile: ResolvedProfile
  /** Milliseconds since 1970. */
  readonly at: number
  readonly isSignedBy: SignatureCheck
  readonly budget: Budget
  /** What is overlooked in the end entity. */
  readonly leniency?: Leniency | undefined
}

/**
 * RFC 5280 §6.1 with RFC 9618: validates one prospective path, from the trust anchor down. Throws the first reason against it, and returns the
 * user-constrained policy set (§6.1.6).
 *
 * @param path end entity first, the anchor not included
 */
export function validatePath(
  path: readonly Certificate[],
  anchor: Certificate,
  inputs: PathInputs,
): ReadonlySet<string> {
  const state = initialize(anchor, path.length, inputs)
  for (let depth = path.length - 1; depth > 0; depth--) {
    basicCertificateProcessing(state, path[depth] as Certificate, depth, inputs)
    prepareForNextCertificate(state, path[depth] as Certificate, depth, inputs)
  }
  const endEntity = path[0] as Certificate
  basicCertificateProcessing(state, endEntity, 0, inputs)
  return wrapUp(state, endEntity, inputs.leniency?.profile ?? inputs.profile)
}

/**
 * §6.1.1, §6.1.2. The RFC leaves to us whether a trust anchor's own fields restrict its paths (§6.2); the operators of private CAs expect it, so
 * that they do: validity, cA, path length, name constraints, key usage and purposes.
 */
function initialize(anchor: Certificate, pathLength: number, { profile, at, budget, isSignedBy }: PathInputs): State {
  checkValidity(anchor, pathLength, at)
  checkIsCa(anchor, pathLength)
  checkKeyCertSign(anchor, pathLength)
  checkIssuerExtendedKeyUsage(anchor, pathLength, profile)
  checkExtensions(anchor, pathLength)
  checkSignedAlgorithm(anchor, pathLength)
  checkPublicKey(anchor, pathLength, profile)
  // §4.2.1.1: self-signed is what its own key signed, under whatever issuer's name.
  const isSelfSigned = () => anchor.isSelfIssued || isSignedBy(anchor, pathLength, anchor.publicKey)
  checkIssuance(anchor, pathLength, profile, isSelfSigned)
  const constraints = constraintsOf(anchor, pathLength)
  return {
    workingPublicKey: anchor.publicKey,
    workingIssuer: anchor,
    maxPathLength: anchor.extensions.basicConstraints?.pathLenConstraint ?? Number.POSITIVE_INFINITY,
    limitedBy: anchor,
    constraints: constraints === undefined ? [] : [constraints],
    validPolicyGraph: new PolicyGraph(budget),
    explicitPolicy: profile.requireExplicitPolicy ? 0 : pathLength + 1,
    policyMapping: profile.inhibitPolicyMapping ? 0 : pathLength + 1,
    inhibitAnyPolicy: profile.inhibitAnyPolicy ? 0 : pathLength + 1,
  }
}

/** §6.1.3 for certificate i. */
function basicCertificateProcessing(state: State, certificate: Certificate, depth: number, inputs: PathInputs): void {
  const { isSignedBy, at, budget, profile, leniency } = inputs
  // (a)(4) the issuer's name is the working issuer name
  if (!certificate.issuer.equals(state.workingIssuer.subject)) throw new Error('path is not chained by name')
  // (a)(1) the signature verifies with the working public key
  if (!isSignedBy(certificate, depth, state.workingPublicKey)) throw refuseSignature(certificate, state, depth)
  // (a)(2) the current time is within its validity
  if (depth > 0) checkValidity(certificate, depth, at)
  else checkEndEntityValidity(certificate, at, leniency)
  // (a)(3) revocation: asked about the finished path, because it may need the network
  // (b) (c) names within the permitted and outside of the excluded subtrees, except of self-issued issuers
  const isIntermediateSelfIssued = depth > 0 && certificate.isSelfIssued
  if (!isIntermediateSelfIssued) checkNames(certificate, depth, state.constraints, budget)
  // (d) (e) what it asserts, of the policies that may be asserted here
  state.validPolicyGraph.addCertificate(certificate, state.inhibitAnyPolicy > 0 || isIntermediateSelfIssued)
  // (f) a policy is still valid, if one is required
  if (state.explicitPolicy === 0 && !state.validPolicyGraph.isValid) throw refusePolicy(certificate, depth, profile)
  checkPublicKey(certificate, depth, depth === 0 ? (leniency?.profile ?? profile) : profile)
  checkIssuance(certificate, depth, profile)
}

/** §6.1.4 for an issuer within the path. */
function prepareForNextCertificate(
  state: State,
  certificate: Certificate,
  depth: number,
  { profile }: PathInputs,
): void {
  const { basicConstraints, policyConstraints, inhibitAnyPolicy } = certificate.extensions
  // (a) anyPolicy is not mapped (b) policies get the names they have below it
  state.validPolicyGraph.addMappings(certificate, depth, state.policyMapping > 0)
  // (c) (d) (e) (f) working issuer name and working public key
  state.workingIssuer = certificate
  state.workingPublicKey = certificate.publicKey
  // (g) its name constraints
  const constraints = constraintsOf(certificate, depth)
  if (constraints !== undefined) state.constraints.push(constraints)
  // (h) unless self-issued, it takes one of each counter
  if (!certificate.isSelfIssued) {
    state.explicitPolicy = Math.max(0, state.explicitPolicy - 1)
    state.policyMapping = Math.max(0, state.policyMapping - 1)
    state.inhibitAnyPolicy = Math.max(0, state.inhibitAnyPolicy - 1)
  }
  // (i) its policyConstraints (j) its inhibitAnyPolicy
  state.explicitPolicy = Math.min(
    state.explicitPolicy,
    policyConstraints?.requireExplicitPolicy ?? Number.POSITIVE_INFINITY,
  )
  state.policyMapping = Math.min(
    state.policyMapping,
    policyConstraints?.inhibitPolicyMapping ?? Number.POSITIVE_INFINITY,
  )
  state.inhibitAnyPolicy = Math.min(state.inhibitAnyPolicy, inhibitAnyPolicy ?? Number.POSITIVE_INFINITY)
  // (k) it is a CA
  checkIsCa(certificate, depth)
  // (l) unless self-issued, it takes one of max_path_length
  if (!certificate.isSelfIssued && --state.maxPathLength < 0) throw refusePathLength(state.limitedBy, depth)
  // (m) its own pathLenConstraint
  if ((basicConstraints?.pathLenConstraint ?? Number.POSITIVE_INFINITY) < state.maxPathLength) {
    state.maxPathLength = basicConstraints?.pathLenConstraint as number
    state.limitedBy = certificate
  }
  // (n) keyUsage, if present, has keyCertSign; and beyond the RFC, its purposes include ours
  checkKeyCertSign(certificate, depth)
  checkIssuerExtendedKeyUsage(certificate, depth, profile)
  // (o) every other critical extension
  checkExtensions(certificate, depth)
}

/** §6.1.5 for the end entity. */
function wrapUp(state: State, certificate: Certificate, profile: ResolvedProfile): ReadonlySet<string> {
  // (a) (b) whether a policy is required of the path as a whole
  const required = certificate.extensions.policyConstraints?.requireExplicitPolicy === 0
  const explicitPolicy = required ? 0 : Math.max(0, state.explicitPolicy - 1)
  // (c) (d) (e) the working public key is the certificate's own, which nobody has looked at yet
  checkPoint(certificate, 0)
  checkEndEntity(certificate, profile)
  // (f) every other critical extension
  checkExtensions(certificate, 0)
  // (g) the policies that are valid for the path and accepted by the caller
  const policies = state.validPolicyGraph.userConstrained(profile.initialPolicySet)
  if (explicitPolicy === 0 && policies.size === 0) throw refusePolicy(certificate, 0, profile)
  return policies
}

/**
 * §4.1.2.5: valid from notBefore to notAfter, both ends inclusive. The encoding knows whole seconds, so that the second notAfter names is
 * valid to its end, as Mozilla's root programme reads it; Go, which compares fractions, ends it at its start, and OpenSSL a moment before that.
 */
export function checkValidity(certificate: Certificate, depth: number, at: number): void {
  if (isWithinValidity(certificate, at)) return
  const seen = { subject: certificate.subject.toString(), at: new Date(at) }
  if (at < certificate.notBefore) {
    throw deny('ERR_CLIENT_CERT_NOT_YET_VALID', { ...seen, notBefore: new Date(certificate.notBefore) }, { depth })
  }
  // Also where `at` is not a number: a clock that fails admits nobody.
  throw deny('ERR_CLIENT_CERT_EXPIRED', { ...seen, notAfter: new Date(certificate.notAfter) }, { depth })
}

/** The same of the end entity, of which an operator's dated exception may overlook one end. */
export function checkEndEntityValidity(certificate: Certificate, at: number, leniency: Leniency | undefined): void {
  if (leniency?.expired === true && at >= endOf(certificate.notAfter)) return
  if (leniency?.notYetValid === true && at < certificate.notBefore) return
  checkValidity(certificate, 0, at)
}

/** Milliseconds since 1970 at which the second that notAfter names is over. */
export const endOf = (notAfter: number): number => notAfter + 1000

export const isWithinValidity = ({ notBefore, notAfter }: Certificate, at: number): boolean =>
  at >= notBefore && at < endOf(notAfter)

/** §6.1.4 (k): version 3 with basicConstraints cA; a version 1 issuer has no way to say it is one. */
function checkIsCa(certificate: Certificate, depth: number): void {
  const { basicConstraints } = certificate.extensions
  if (basicConstraints?.cA === true) return
  const reason =
    certificate.version !== 3
      ? `it is an X.509 v${certificate.version} certificate`
      : basicConstraints === undefined
        ? 'it has no basicConstraints'
        : 'its basicConstraints say CA:FALSE'
  throw deny('ERR_CLIENT_CERT_BASIC_CONSTRAINTS', { subject: certificate.subject.toString(), reason }, { depth })
}

function refusePolicy({ subject }: Certificate, depth: number, { initialPolicySet }: ResolvedProfile) {
  const required = initialPolicySet === undefined ? undefined : [...initialPolicySet]
  return deny('ERR_CLIENT_CERT_POLICY', { subject: subject.toString(), required }, { depth })
}

function refusePathLength({ subject, extensions }: Certificate, depth: number) {
  const pathLenConstraint = extensions.basicConstraints?.pathLenConstraint ?? 0
  return deny('ERR_CLIENT_CERT_PATH_LENGTH', { subject: subject.toString(), pathLenConstraint }, { depth })
}

function refuseSignature(certificate: Certificate, { workingIssuer }: State, depth: number) {
  const hex = (octets: Uint8Array | undefined) =>
    octets === undefined ? undefined : Buffer.from(octets).toString('hex')
  const expectedKeyId = hex(certificate.extensions.authorityKeyIdentifier?.keyIdentifier)
  const trustedKeyId = hex(workingIssuer.extensions.subjectKeyIdentifier)
  const ids = expectedKeyId === undefined || trustedKeyId === undefined ? {} : { expectedKeyId, trustedKeyId }
  return deny('ERR_CLIENT_CERT_SIGNATURE', { issuer: certificate.issuer.toString(), ...ids }, { depth })
}
