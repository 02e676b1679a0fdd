import { ClientCertConfigError, nearest } from '../errors.js'
import { quote } from '../help.js'
import type { ClientIdentity } from '../identity/identity.js'
import { SpiffeId } from '../identity/spiffe-id.js'
import { isHost } from '../x509/general-name.js'
import { DistinguishedName } from '../x509/name.js'
import { attributeType, oid } from '../x509/oid.js'
import { identityRule, type Rule } from './rule.js'

const call = (name: string, operand: string) => `${name}(${JSON.stringify(operand)})`

function operandOf(name: string, operand: unknown): string {
  if (typeof operand === 'string' && operand.trim() !== '') return operand
  const found = operand === undefined ? 'nothing' : operand === '' ? 'an empty string' : typeof operand
  throw new ClientCertConfigError(
    `${name}(…): expected a text, got ${found} — an undefined value must not make a rule that admits others`,
  )
}

/**
 * The subject has exactly one common name, and it is this one, character for character. There is no fallback from or to subject alternative
 * names. Prefer `dnsName`, `uri` or `spiffeId`: a common name has no type, and no name constraint of a CA binds it (RFC 5280 §4.2.1.10).
 */
export function commonName(name: string): Rule {
  const wanted = operandOf('commonName', name)
  return identityRule(
    call('commonName', wanted),
    ({ subject }) => subject.get('CN') === wanted,
    ({ subject, names }) => {
      const found = subject.all('CN')
      if (found.length > 1) return `the certificate has ${found.length} common names — issue it with one`
      if (found.length === 0 && names.dns.includes(wanted)) {
        return `the certificate has that name as subjectAltName dNSName — dnsName(${JSON.stringify(wanted)})`
      }
      return `the certificate has ${found.length === 0 ? 'no common name' : quote(found[0] as string)} — allow it in the rule, or issue another certificate`
    },
  )
}

/**
 * The whole subject is this distinguished name under RFC 5280 §7.1 (case and runs of spaces do not matter, order does). Reads RFC 4514 text,
 * openssl's spaces around `=`, and .NET's `S=` and `E=`.
 *
 * @example
 * rules.subject('CN=alice,O=Acme\\, Inc.,C=DE')
 */
export function subject(name: string): Rule {
  return nameRule('subject', name, (identity) => identity.subject)
}

/** The issuer is this distinguished name, compared as in `subject`. A name alone does not say whose CA it is: with several anchors add `anchor`. */
export function issuerName(name: string): Rule {
  return nameRule('issuerName', name, (identity) => identity.issuer)
}

function nameRule(rule: string, operand: string, of: (identity: ClientIdentity) => DistinguishedName): Rule {
  const written = operandOf(rule, operand)
  const wanted = parseName(rule, written)
  const wantedIsAscii = isAscii(wanted)
  const description = call(rule, written)
  return identityRule(
    description,
    // RFC 4518 makes ａ (full width) equal to a, and drops control characters; an operator who wrote plain ASCII did not mean it.
    (identity) => of(identity).equals(wanted) && (!wantedIsAscii || isAscii(of(identity))),
    (identity) => {
      const found = of(identity)
      return found.equals(wanted.reversed())
        ? `the certificate is that name in reverse — RFC 4514 writes ${quote(found.toString())}`
        : `the certificate has ${quote(found.toString())} — allow it in the rule, or issue another certificate`
    },
  )
}

function parseName(rule: string, written: string): DistinguishedName {
  if (written.startsWith('/')) {
    throw new ClientCertConfigError(
      `${call(rule, written)} is openssl's old form, in which "/" is ambiguous — RFC 4514 writes ${fromSlashes(written)}`,
    )
  }
  try {
    return DistinguishedName.parse(written)
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    throw new ClientCertConfigError(
      `${call(rule, written)}: ${error.message} — openssl x509 -in client.pem -noout -subject -nameopt RFC2253 prints it`,
    )
  }
}

function fromSlashes(written: string): string {
  const parts = written.split('/').filter((part) => part !== '')
  const known = parts.every((part) => attributeType(part.slice(0, Math.max(0, part.indexOf('=')))) !== undefined)
  return known ? JSON.stringify(parts.reverse().join(',')) : 'CN=…,O=…,C=…'
}

const isAscii = ({ rdns }: DistinguishedName) =>
  rdns.every((rdn) => rdn.every(({ value }) => value === undefined || /^[\x20-\x7e]*$/.test(value)))

/** One subjectAltName dNSName is this host name; ASCII case does not matter. A wildcard in the certificate is no wildcard here. */
export function dnsName(name: string): Rule {
  const wanted = operandOf('dnsName', name).toLowerCase()
  if (wanted.includes('*')) {
    throw new ClientCertConfigError(
      `${call('dnsName', name)}: wildcards are not read — name each host: any(dnsName("a.example"), dnsName("b.example"))`,
    )
  }
  // As written: lower-casing turns some letters beyond ASCII, such as the Kelvin sign, into ASCII ones.
  if (!isHost(name)) {
    throw new ClientCertConfigError(
      `${call('dnsName', name)} is not a host name — letters, digits, hyphens and dots; internationalised names as xn--…`,
    )
  }
  return oneOf(
    'dnsName',
    name,
    ({ names }) => names.dns,
    (found) => found.toLowerCase() === wanted,
  )
}

/** One subjectAltName uniformResourceIdentifier is this URI: scheme and host in any case, the rest character for character (RFC 5280 §7.4). */
export function uri(name: string): Rule {
  const written = operandOf('uri', name)
  if (!/^[A-Za-z][A-Za-z0-9+.-]*:[\x21-\x7e]+$/.test(written)) {
    throw new ClientCertConfigError(
      `${call('uri', name)} is not an absolute URI in ASCII — scheme:…, other characters percent-encoded`,
    )
  }
  const wanted = normalizeUri(written)
  return oneOf(
    'uri',
    name,
    ({ names }) => names.uri,
    (found) => normalizeUri(found) === wanted,
  )
}

/** Lower-cases scheme and host; user information and everything after the authority stay as they are. */
function normalizeUri(text: string): string {
  const parts = /^([^:]+:)(\/\/(?:[^/?#@]*@)?)?([^/?#]*)(.*)$/s.exec(text)
  if (parts === null) return text
  const [, scheme, slashes, host, rest] = parts as unknown as [string, string, string | undefined, string, string]
  return slashes === undefined
    ? scheme.toLowerCase() + host + rest
    : scheme.toLowerCase() + slashes + host.toLowerCase() + rest
}

/** One subjectAltName rfc822Name is this mailbox: the local part exactly, the domain in any case (RFC 5280 §7.5). Subject emailAddress does not count. */
export function email(address: string): Rule {
  const written = operandOf('email', address)
  const wanted = normalizeMailbox(written)
  const domain = /^[^@\s]+@([^@\s]+)$/.exec(written)?.[1] ?? ''
  if (!isHost(domain) && !/^\[[0-9A-Za-z.:]+\]$/.test(domain)) {
    throw new ClientCertConfigError(
      `${call('email', address)} is not a mailbox — local@domain, an internationalised domain as xn--…`,
    )
  }
  return oneOf(
    'email',
    address,
    ({ names }) => names.email,
    (found) => normalizeMailbox(found) === wanted,
  )
}

function normalizeMailbox(text: string): string {
  const sign = text.lastIndexOf('@')
  // The domain is ASCII in every certificate we read, so that lower-casing it cannot change its meaning.
  return text.slice(0, sign + 1) + text.slice(sign + 1).toLowerCase()
}

/** The identity is this SPIFFE ID: the certificate's only URI name, exactly. */
export function spiffeId(id: string): Rule {
  const written = operandOf('spiffeId', id)
  const wanted = SpiffeId.from(written)
  if (wanted === undefined || wanted.path === '') {
    throw new ClientCertConfigError(
      `${call('spiffeId', id)} is not the SPIFFE ID of a workload — spiffe://trust-domain/path, lower-case trust domain`,
    )
  }
  return identityRule(
    call('spiffeId', id),
    (identity) => identity.spiffeId?.equals(wanted) === true,
    ({ spiffeId: found, names }) =>
      found === undefined
        ? `the certificate has no SPIFFE ID (${names.uri.length} URI names) — issue an X509-SVID`
        : `the certificate has ${quote(found.toString())} — allow it in the rule`,
  )
}

/** The certificate is exactly this one: SHA-256 of its DER in hexadecimal, with or without colons, in any case. */
export function fingerprint(sha256: string): Rule {
  const written = operandOf('fingerprint', sha256)
  const hex = written
    .replace(/^sha-?256[ :=]*(?:fingerprint=)?/i, '')
    .replace(/[:\s]/g, '')
    .toLowerCase()
  const advice = 'openssl x509 -in client.pem -noout -fingerprint -sha256'
  const shown = JSON.stringify(written.length > 24 ? `${written.slice(0, 12)}…` : written)
  if (/^[0-9a-f]{40}$/.test(hex))
    throw new ClientCertConfigError(`fingerprint(${shown}) is SHA-1 (20 bytes) — use SHA-256: ${advice}`)
  if (/^[A-Za-z0-9_-]{43}$/.test(written)) {
    const equal = Buffer.from(written, 'base64url').toString('hex')
    throw new ClientCertConfigError(`fingerprint(${shown}) is base64url (x5t#S256) — write it in hexadecimal: ${equal}`)
  }
  if (!/^[0-9a-f]{64}$/.test(hex))
    throw new ClientCertConfigError(`fingerprint(${shown}) is not SHA-256 (32 bytes of hexadecimal) — ${advice}`)
  return identityRule(
    call('fingerprint', hex),
    (identity) => identity.fingerprint === hex,
    (identity) => `the certificate is ${identity.fingerprint} — add it, or was it renewed?`,
  )
}

/** The path ends in the trust set of this name: `trust: { partners: … }`. */
export function anchor(name: string): Rule {
  const wanted = operandOf('anchor', name)
  return identityRule(
    call('anchor', wanted),
    (identity) => identity.anchor.name === wanted,
    ({ anchor: { name: found } }) => {
      const near = found === undefined ? undefined : nearest(wanted, [found])
      return found === undefined
        ? "its anchor has no name — trust: { NAME: './ca.pem' } gives it one"
        : `its anchor is ${quote(found)}${near === undefined ? '' : ', is that a misspelling?'}`
    },
  )
}

/**
 * The whole path is valid under this certificate policy (RFC 5280 §6.1.6: it is in the user-constrained policy set). A path that is valid under
 * any-policy was not issued under this one, and does not hold.
 */
export function certificatePolicy(identifier: string): Rule {
  const wanted = operandOf('certificatePolicy', identifier)
  if (attributeType(wanted) !== wanted || wanted === oid.anyPolicy) {
    throw new ClientCertConfigError(
      `${call('certificatePolicy', identifier)} is not the object identifier of a policy — dotted, as in "1.3.6.1.4.1.99999.1"`,
    )
  }
  return identityRule(
    call('certificatePolicy', wanted),
    ({ policies }) => policies.includes(wanted),
    ({ policies }) =>
      `its path is valid under ${policies.slice(0, 3).join(', ') || 'no policy'} — issue it under that policy`,
  )
}

function oneOf(
  name: string,
  operand: string,
  of: (identity: ClientIdentity) => readonly string[],
  matches: (found: string) => boolean,
): Rule {
  return identityRule(
    call(name, operand),
    (identity) => of(identity).some(matches),
    (identity) => {
      const found = of(identity)
      const shown = found.slice(0, 3).map(quote).join(', ')
      if (found.length > 0)
        return `the certificate has ${shown}${found.length > 3 ? ', …' : ''} — allow it in the rule, or issue another certificate`
      const cn = name === 'dnsName' && identity.subject.get('CN')?.toLowerCase() === operand.toLowerCase()
      return cn
        ? 'the name is only in the subject — issue it as subjectAltName, or commonName(…)'
        : 'the certificate has no such name — issue it with a subjectAltName'
    },
  )
}
