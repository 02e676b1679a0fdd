import { hash } from 'node:crypto'
import { ClientCertConfigError, nearest } from '../errors.js'
import { quote } from '../help.js'
import type { CertificateSummary, ClientIdentity } from '../identity/identity.js'
import { isThenable } from '../thenable.js'
import { parseBundle } from '../trust/trust-bundle.js'
import type { Certificate } from '../x509/certificate.js'
import { call } from './call.js'
import { fingerprintOf } from './certificate-matchers.js'
import { operandOf } from './operands.js'
import { describeRule, identityRule, isRule, partsOf, type Rule, type RuleParts } from './rule.js'

/**
 * The certificate was issued by this CA: the issuer on the validated path, which is the CA next to the client and not the root above it. Given a
 * CA certificate (PEM or DER), its name and key count, so that the CA renewed or cross-signed with the same key is the same; given a SHA-256
 * fingerprint, exactly that CA certificate does. Which of several certificates of one CA is on the path depends on what the client sends:
 * inside of `deny` and `not` give the certificate.
 *
 * @example
 * rules.all(rules.issuedBy(readFileSync('./partner-ca.pem')), rules.commonName('alice'))
 */
export function issuedBy(authority: string | Uint8Array): Rule {
  const { description, matches, ...described } = authorityOf('issuedBy', authority)
  return identityRule(
    description,
    {
      holds: ({ issuerCertificate: issuer }) => issuer !== undefined && matches(issuer),
      found: ({ issuerCertificate: issuer }) => (issuer === undefined ? 'none: it is pinned' : describeIssuer(issuer)),
      hint: ({ issuerCertificate: issuer }) =>
        issuer === undefined
          ? 'the certificate is pinned, so that no CA vouches for it — fingerprint(…)'
          : `it was issued by ${describeIssuer(issuer)} — allow that CA in the rule`,
    },
    { bindsIssuer: true, ...described },
  )
}

const describeIssuer = ({ subject, fingerprint }: CertificateSummary) => `${quote(subject.toString())} (${fingerprint})`

interface Authority {
  readonly description: string
  readonly matches: (issuer: CertificateSummary) => boolean
  /** Where its description does not say all of it: names of CAs are not theirs alone. */
  readonly describe?: RuleParts['describe']
}

function authorityOf(rule: string, authority: unknown): Authority {
  const isFingerprint = typeof authority === 'string' && !authority.includes('-----BEGIN') && !authority.includes('\n')
  if (isFingerprint) {
    if (/[./\\]/.test(authority)) {
      throw new ClientCertConfigError(
        `${rule}(${JSON.stringify(authority)}) looks like the path of a file — ${rule}(readFileSync(…)) takes what is in it`,
      )
    }
    const wanted = fingerprintOf(rule, authority)
    return { description: call(rule, wanted), matches: ({ fingerprint }) => fingerprint === wanted }
  }
  if (typeof authority !== 'string' && !(authority instanceof Uint8Array)) operandOf(rule, authority)
  const found = parseBundle(rule, authority as string | Uint8Array, 'anchors')
  if (found.length !== 1) {
    throw new ClientCertConfigError(
      `${rule}(…): holds ${found.length} certificates, expected one CA — any(${rule}(a), ${rule}(b))`,
    )
  }
  const { subject, publicKey } = found[0] as Certificate
  const pin = hash('sha256', publicKey.der, 'base64')
  return {
    description: call(rule, subject.toString()),
    matches: (issuer) => issuer.publicKeyPin === pin && issuer.subject.equals(subject),
    describe: () => ({ kind: rule, operands: [subject.toString()], publicKeyPin: pin }),
  }
}

/** The path ends in the trust set of this name: `trust: { partners: … }`. */
export function anchor(name: string): Rule {
  const wanted = operandOf('anchor', name)
  return identityRule(
    call('anchor', wanted),
    {
      holds: (identity) => identity.anchor.name === wanted,
      found: ({ anchor: { name: found } }) => (found === undefined ? 'no name' : quote(found)),
      hint: ({ anchor: { name: found } }) => {
        const near = found === undefined ? undefined : nearest(wanted, [found])
        return found === undefined
          ? "its anchor has no name — trust: { NAME: './ca.pem' } gives it one"
          : `its anchor is ${quote(found)}${near === undefined ? '' : ', is that a misspelling?'}`
      },
    },
    { bindsIssuer: true },
  )
}

/**
 * The certificate has this serial number, and its issuer is the one the second rule names: a serial number is unique with its issuer only
 * (RFC 5280 §4.1.2.2). Hexadecimal; case, colons, leading zeros and the sign octet do not matter.
 *
 * @example
 * rules.serialNumber('4F:3A:01', rules.issuedBy(readFileSync('./partner-ca.pem')))
 */
export function serialNumber(serial: string, issuer: Rule): Rule {
  const description = call('serialNumber', operandOf('serialNumber', serial))
  if (!isRule(issuer) || !namesIssuer(issuer)) {
    throw new ClientCertConfigError(
      `${description}: whose? Two CAs may give the same number — serialNumber(…, issuedBy(ca)), anchor("…") or issuerName("…")`,
    )
  }
  const { allow } = partsOf(serialNumberOf(serial))
  const inner = partsOf(issuer)
  const written = `serialNumber(${JSON.stringify(serial)}, ${issuer.description})`
  const both = (identity: ClientIdentity) =>
    [allow(identity, undefined), inner.allow(identity, undefined)].flatMap((outcome) =>
      isThenable(outcome) ? [] : [outcome],
    )
  return identityRule(
    written,
    {
      holds: (identity) => both(identity).length === 2 && both(identity).every(({ holds }) => holds),
      found: (identity) =>
        both(identity)
          .map(({ found }) => found)
          .join(' of '),
      hint: (identity) => {
        const failed = both(identity).find(({ holds }) => !holds)
        return failed?.holds === false ? failed.hint : undefined
      },
    },
    {
      bindsIssuer: inner.bindsIssuer,
      unbound: inner.bindsIssuer ? [] : [written],
      describe: () => ({ kind: 'serialNumber', operands: [serial], issuer: describeRule(issuer) }),
    },
  )
}

const namesIssuer = (rule: Rule) => /^(issuedBy|anchor|issuerName)\(/.test(rule.description)

/** @internal A serial number of whichever issuer: for documents that name the issuer beside it, or have but one. */
export function serialNumberOf(serial: string): Rule {
  const written = operandOf('serialNumber', serial)
  const wanted = digitsOf(written)
  const description = call('serialNumber', written)
  if (!/^-?[0-9A-F]{1,40}$/.test(wanted)) {
    throw new ClientCertConfigError(
      `${description} is not a serial number in hexadecimal — openssl x509 -in client.pem -noout -serial`,
    )
  }
  return identityRule(
    description,
    {
      holds: (identity) => digitsOf(identity.serialNumber) === wanted,
      found: (identity) => identity.serialNumber,
      hint: (identity) =>
        /^\d+$/.test(written) && BigInt(written).toString(16).toUpperCase() === digitsOf(identity.serialNumber)
          ? `that is its serial number in decimal — write it in hexadecimal: ${identity.serialNumber}`
          : `the certificate has ${identity.serialNumber} — add it, or was it renewed?`,
    },
    { unbound: [description] },
  )
}

/** Upper-case digits without colons, `0x`, zeros in front and the sign octet, which is one of them. */
function digitsOf(written: string): string {
  const [, sign = '', hex = ''] = /^(-?)(?:0x)?(.*)$/is.exec(written.trim()) ?? []
  const digits = hex
    .replace(/[:\s]/g, '')
    .toUpperCase()
    .replace(/^0+(?=.)/, '')
  return sign + digits
}
