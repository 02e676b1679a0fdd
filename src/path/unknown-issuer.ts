import { type AnyClientCertError, deny } from '../errors.js'
import type { TrustSnapshot } from '../trust/trust-snapshot.js'
import type { Certificate } from '../x509/certificate.js'
import { type DistinguishedName, prepare } from '../x509/name.js'
import { mayIssue } from './extension-profile.js'

const namedAnchors = 3

/** No anchor was reached at all: says which name the path broke off at, and what that most likely means. */
export function unknownIssuer(
  endEntity: Certificate,
  presented: readonly Certificate[],
  trust: TrustSnapshot,
): AnyClientCertError {
  // What `openssl req -x509` makes, used as a client: the certificate is the mistake, not its issuer.
  if (mayIssue(endEntity) && endEntity.isSelfIssued) {
    return deny(
      'ERR_CLIENT_CERT_CA_AS_CLIENT',
      { subject: endEntity.subject.toString(), selfIssued: true },
      { depth: 0 },
    )
  }
  const last = followNames(endEntity, presented)
  const anchors = trust.anchors.slice(0, namedAnchors).map(({ certificate }) => certificate.subject.toString())
  const facts = { issuer: last.issuer.toString(), anchors, anchorCount: trust.anchors.length }
  const depth = last === endEntity ? 0 : presented.indexOf(last) + 1
  if (last.isSelfIssued) {
    const cause = last === endEntity ? 'self-signed' : 'not-trusted'
    return deny('ERR_CLIENT_CERT_UNKNOWN_ISSUER', { ...facts, cause }, { depth })
  }
  const root = relatedAnchor(last.issuer, trust)
  const detail =
    root === undefined
      ? { ...facts, cause: 'not-trusted' as const }
      : { ...facts, cause: 'missing-intermediate' as const, root }
  return deny('ERR_CLIENT_CERT_UNKNOWN_ISSUER', detail, { depth })
}

/** The last certificate that the presented ones lead to, by name. */
function followNames(endEntity: Certificate, presented: readonly Certificate[]): Certificate {
  let last = endEntity
  for (let step = 0; step < presented.length && !last.isSelfIssued; step++) {
    const issuer = presented.find((candidate) => candidate.subject.equals(last.issuer))
    if (issuer === undefined) break
    last = issuer
  }
  return last
}

/** An anchor of the same organisation, or whose common name begins with the same word: the root that issuer is likely to lead to. */
function relatedAnchor(issuer: DistinguishedName, trust: TrustSnapshot): string | undefined {
  const [organization, word] = traitsOf(issuer)
  const related = trust.anchors.slice(0, 100).find(({ certificate }) => {
    const [itsOrganization, itsWord] = traitsOf(certificate.subject)
    return isShared(organization, itsOrganization) || isShared(word, itsWord)
  })
  return related?.certificate.subject.toString()
}

const isShared = (a: string | undefined, b: string | undefined) => a !== undefined && a.length > 2 && a === b

/** Preparing a name costs what its length costs, and whoever wrote this one is a stranger: a hint is not worth more than a short name. */
const traitCharacters = 256

function traitsOf(name: DistinguishedName): [organization: string | undefined, firstWord: string | undefined] {
  const trait = (type: string) => {
    const value = name.get(type)
    return value === undefined || value.length > traitCharacters ? undefined : prepare(value)
  }
  return [trait('O'), trait('CN')?.split(' ')[0]]
}
