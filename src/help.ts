import type {
  AbsentDetail,
  ClientCertErrorDetails,
  KeyUsageDetail,
  NameConstraintsDetail,
  Refusal,
  RuleDetail,
  UnknownIssuerDetail,
} from './details.js'
import { limits } from './limits.js'

/**
 * Quotes a value that came from a peer so that it is safe to print: JSON escapes, and beyond them every control, format (bidirectional,
 * zero-width, tag) and line-separator character as \uXXXX; cut where that would be longer than 256 characters.
 */
export function quote(value: string): string {
  let text = ''
  let cut = ''
  for (const character of value) {
    text += printable(JSON.stringify(character).slice(1, -1))
    if (text.length > limits.quotedCharacters) return `"${cut}…"`
    if (text.length < limits.quotedCharacters) cut = text
  }
  return `"${text}"`
}

/** The same without quotation marks around it, and cut at 256 characters as well. */
export const escaped = (text: string): string => quote(text).slice(1, -1).replaceAll('\\"', '"')

/** Escapes what could break out of a line, whatever the length. */
export const printable = (text: string): string =>
  text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) =>
    character
      .split('')
      .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
      .join(''),
  )

/** "5 min 10 s", "2 d 3 h": two units, rounded down, for a duration in milliseconds. */
export function duration(milliseconds: number): string {
  const seconds = Math.floor(Math.abs(milliseconds) / 1000)
  const units: [number, string][] = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor((seconds % 86_400) / 3600), 'h'],
    [Math.floor((seconds % 3600) / 60), 'min'],
    [seconds % 60, 's'],
  ]
  const first = units.findIndex(([count]) => count > 0)
  if (first < 0) return 'less than a second'
  return units
    .slice(first, first + 2)
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${count} ${unit}`)
    .join(' ')
}

/** ISO 8601 in whole seconds, UTC. */
export const instant = (date: Date): string =>
  Number.isNaN(date.getTime()) ? 'at an unknown time' : date.toISOString().replace('.000Z', 'Z')

/** One fact, one fix: the operator's sentence for a refusal. One line, whatever a checker, a rule or a proxy put into its facts. */
export function helpFor(error: Refusal): string {
  const sentence = sentenceFor(error)
  const text = printable(sentence.slice(0, limits.helpCharacters))
  const isWhole = sentence.length <= limits.helpCharacters && text.length <= limits.helpCharacters
  return isWhole ? text : `${text.slice(0, limits.helpCharacters - 1)}…`
}

function sentenceFor(error: Refusal): string {
  switch (error.code) {
    case 'ERR_CLIENT_CERT_ABSENT':
      return absent(error.detail)
    case 'ERR_CLIENT_CERT_MALFORMED': {
      const { structure, reason, offset } = error.detail
      // "-" where a SEQUENCE begins: what was read from a .pem file, where DER is wanted.
      if (offset === 0 && reason === 'expected tag 0x30, found 0x2d')
        return `${structure} is PEM text where DER is wanted — openssl x509 -outform DER, or new X509Certificate(pem).raw`
      const where = offset === undefined ? '' : ` at octet ${offset}`
      const whose = error.depth ? ` of intermediate ${error.depth}` : ''
      return `${structure}${whose} is malformed${where}: ${reason} — re-issue it; openssl asn1parse shows the place`
    }
    case 'ERR_CLIENT_CERT_VERSION':
      return error.detail.version === 1
        ? 'this is an X.509 v1 certificate (openssl x509 -req without -extfile) — re-issue with extendedKeyUsage=clientAuth, see README "make a client certificate"'
        : `this is an X.509 v${error.detail.version} certificate — re-issue it as version 3 with extendedKeyUsage=clientAuth`
    case 'ERR_CLIENT_CERT_UNKNOWN_ISSUER':
      return unknownIssuer(error.detail)
    case 'ERR_CLIENT_CERT_SIGNATURE': {
      const { issuer, expectedKeyId, trustedKeyId } = error.detail
      return expectedKeyId !== undefined && trustedKeyId !== undefined && expectedKeyId !== trustedKeyId
        ? `${quote(issuer)} is trusted but with another key (client expects key id ${shortId(expectedKeyId)}, trust has ${shortId(trustedKeyId)}) — the CA was re-created: re-issue the client, or trust both`
        : `the signature was not made by the key of ${quote(issuer)} — a forgery or a damaged certificate; if you re-created the CA under the same name: re-issue the client, or trust both`
    }
    case 'ERR_CLIENT_CERT_ALGORITHM':
      return `${quote(error.detail.subject)} is signed with ${quote(error.detail.algorithm)}: ${error.detail.reason} — ${algorithmFix(error.detail.reason)}`
    case 'ERR_CLIENT_CERT_WEAK_KEY':
      return `${error.detail.key}${error.depth ? ` of the issuer ${quote(error.detail.subject)}` : ''}, ${error.detail.reason} (${error.detail.setting}) — re-issue`
    case 'ERR_CLIENT_CERT_EXPIRED': {
      const { subject, notAfter, at } = error.detail
      return `${quote(subject)} ended ${instant(notAfter)}, ${duration(at.getTime() - notAfter.getTime())} ago by this server's clock — renew it`
    }
    case 'ERR_CLIENT_CERT_NOT_YET_VALID': {
      const { notBefore, at } = error.detail
      return `begins in ${duration(notBefore.getTime() - at.getTime())} by this server's clock (${instant(at)}) — check NTP here and back-dating at the CA`
    }
    case 'ERR_CLIENT_CERT_BASIC_CONSTRAINTS':
      return `the issuer ${quote(error.detail.subject)} may not issue certificates: ${error.detail.reason} — issue clients from a CA certificate (basicConstraints CA:TRUE)`
    case 'ERR_CLIENT_CERT_PATH_LENGTH':
      return `${quote(error.detail.subject)} allows ${error.detail.pathLenConstraint} CA certificates below it, the path has more — issue the client from a CA nearer to it`
    case 'ERR_CLIENT_CERT_KEY_USAGE':
      return keyUsage(error.detail)
    case 'ERR_CLIENT_CERT_CA_AS_CLIENT':
      return error.detail.selfIssued
        ? "a CA certificate was used as a client (openssl req -x509 makes CA:TRUE) — issue a client certificate from it, or pin exactly this one: trust: { pinned: './device.pem' }"
        : 'a CA certificate was used as a client — issue a client certificate (basicConstraints CA:FALSE) from it'
    case 'ERR_CLIENT_CERT_EXTENSION': {
      const { subject, oid, critical, reason, fix } = error.detail
      if (fix !== undefined) return `${quote(subject)}: ${reason} — ${fix}`
      return `${quote(subject)} has ${critical ? 'the critical extension' : 'the extension'} ${oid}: ${reason} — issue it without`
    }
    case 'ERR_CLIENT_CERT_NAME_CONSTRAINTS':
      return nameConstraints(error.detail)
    case 'ERR_CLIENT_CERT_POLICY':
      return `${quote(error.detail.subject)} is not issued under ${error.detail.required?.join(' or ') ?? 'a policy valid for its whole path'} — issue it under a required certificate policy, or change profile.initialPolicySet`
    case 'ERR_CLIENT_CERT_BUDGET':
      return `validation stopped at ${error.detail.maximum} ${error.detail.limit} — the peer sent a maze of certificates; send the path only`
    case 'ERR_CLIENT_CERT_REVOKED': {
      const { subject, reason, since } = error.detail
      return `${quote(subject)} was revoked${since ? ` ${instant(since)}` : ''}${reason ? ` (${quote(reason)})` : ''} — issue a new certificate with a new key`
    }
    case 'ERR_CLIENT_CERT_REVOCATION_UNKNOWN':
      return error.detail.fix === undefined
        ? `no revocation status for ${quote(error.detail.subject)}: ${error.detail.reason} — make the CRL or responder reachable and fresh`
        : `${error.detail.reason} — ${error.detail.fix}`
    case 'ERR_CLIENT_CERT_RULE':
      return rule(error.detail)
    case 'ERR_CLIENT_CERT_PRINCIPAL':
      if (error.detail.reason !== undefined) {
        return `${quote(error.detail.subject)} (${error.detail.fingerprint}) is nobody: ${error.detail.reason} — issue it with exactly one, or choose another principalFrom`
      }
      return `resolve() returned nobody for ${quote(error.detail.subject)} (${error.detail.fingerprint}) — register the certificate with the application`
    case 'ERR_CLIENT_CERT_SVID':
      return `${quote(error.detail.name)}: ${quote(error.detail.reason).slice(1, -1)} — issue an X509-SVID, or add the bundle to spiffeBundles({ … })`
    case 'ERR_CLIENT_CERT_RENEGOTIATED':
      return `the client renegotiated this ${error.detail.protocol} connection after it had identified itself — it must reconnect; tlsServerOptions() refuses renegotiation`
    case 'ERR_CLIENT_CERT_UNTRUSTED_PROXY':
      return untrustedProxy(error.detail)
    case 'ERR_CLIENT_CERT_PROXY_REFUSED': {
      const { header, verdict, accepts } = error.detail
      const says =
        verdict === undefined ? `sent no ${header} beside the certificate` : `says ${quote(verdict)} in ${header}`
      return `the proxy ${says}, only ${quote(accepts)} does not refuse — look into the proxy's log; or leave headers.status out, the certificate is validated here all the same`
    }
    case 'ERR_CLIENT_CERT_HEADER_MALFORMED': {
      const { header, preset, reason, fix } = error.detail
      return `${header}: preset '${preset}' ${reason} — ${fix ?? "check the proxy's header and the preset"}`
    }
    case 'ERR_CLIENT_CERT_HEADER_AMBIGUOUS':
      return `${error.detail.header} ${error.detail.reason} — the proxy must remove what clients send before it sets its own`
    case 'ERR_CLIENT_CERT_RUNTIME':
      return `${error.detail.runtime}: ${error.detail.reason} — use node:tls there, a proxy header, or Node`
    case 'ERR_CLIENT_CERT_NOT_READY':
      // What could not be read says itself what to do.
      return error.detail.reason.includes(' — ')
        ? error.detail.reason
        : `${error.detail.reason} — wait for authenticator.ready() before listening`
    case 'ERR_CLIENT_CERT_INTERNAL':
      return internal(error.detail, quote(describeCause(error.cause)))
  }
}

/** Functions that applications write are theirs to mend. */
function internal({ stage, ofApplication }: ClientCertErrorDetails['ERR_CLIENT_CERT_INTERNAL'], cause: string): string {
  if (ofApplication === 'yes') return `${stage} failed, which refuses: ${cause} — mend it, or what it asks`
  if (ofApplication === 'perhaps')
    return `${stage} failed, which refuses: ${cause} — mend it; if it is one of this package, please report it`
  return `unexpected error in ${stage}, refused: ${cause} — this is a bug: please report it`
}

/** A digest is the operator's choice too; what is written otherwise than its standard says is not. */
function algorithmFix(reason: string): string {
  if (reason === 'it is not accepted' || reason === 'it is not known here')
    return 're-issue it with SHA-256 or better (profile.signatureAlgorithms)'
  // What OpenSSL before 3.1 signs with unless told otherwise.
  if (reason.startsWith('RSA-PSS salt')) return 're-issue it; openssl: -sigopt rsa_pss_saltlen:digest'
  return 're-issue it'
}

function untrustedProxy({ peer, header, gate }: ClientCertErrorDetails['ERR_CLIENT_CERT_UNTRUSTED_PROXY']): string {
  if (peer === undefined) {
    return `header ${header} from a peer without an address, not in ${gate} — unixSocket() if your proxy comes through a Unix socket`
  }
  const who = peer === '127.0.0.6' ? " (127.0.0.6 is Istio's sidecar)" : ''
  return `header ${header} from ${peer}, not in ${gate}${who} — ${gateFix(gate)}; if not, somebody reaches this port directly`
}

/** By what a gate is: an address is added, a secret is not. */
function gateFix(gate: string): string {
  if (gate.startsWith('proxySecret'))
    return 'if that is your proxy, let it set this field to one of the secrets that are configured here'
  if (gate.startsWith('proxyCertificate'))
    return 'if that is your proxy, give it a client certificate that is accepted here'
  if (gate === 'unixSocket()') return 'if that is your proxy, let it come through the Unix socket, or admit its address'
  if (gate.startsWith('proxyAddress')) return 'add it if that is your proxy, or use unixSocket()'
  return 'if that is your proxy, see which of these it does not pass'
}

function absent(detail: AbsentDetail): string {
  const agent = detail.agent ? `${quote(detail.agent)}, ` : ''
  switch (detail.cause) {
    case 'plain-http':
      return 'request came over plain HTTP, which carries no certificate — listen with https.createServer(…), or in tests request(httpsServer).cert(…).key(…)'
    case 'not-requested':
      return 'this server never asks for a certificate (requestCert is false) — create it with https.createServer(tlsServerOptions(auth, { key, cert }), app)'
    case 'resumed-without':
      return `resumed session that never carried a certificate (socket.authorized is wrong here on Node ${process.versions.node}) — the client must reconnect with its certificate`
    case 'header-unread':
      return `on the socket, but ${detail.peer ?? 'a peer without an address'} sent ${detail.header} — source: forwardedHeader({ preset: ${(detail.presets ?? []).map((name) => `'${name}'`).join(' or ')}, from: ${detail.peer === undefined ? 'unixSocket()' : `proxyAddress('${detail.peer}')`} }), if that is your proxy`
    case 'behind-proxy':
      return `peer ${detail.peer ?? 'without an address'} is a proxy (X-Forwarded-For present) and TLS ended there — source: forwardedHeader({ … }), or TLS passthrough`
    case 'header-absent': {
      const elsewhere = detail.wasSent ? ' (it did on other requests)' : ''
      return `the trusted proxy ${detail.peer ?? 'on the Unix socket'} sent no ${detail.header} on ${quote(detail.path ?? '')}${elsewhere} — the client sent it no certificate, or the proxy does not set the header on this path: ${detail.whereToLook ?? 'look into its configuration'}`
    }
    case 'not-the-proxy':
      return `the peer ${detail.peer ?? 'without an address'} sent no ${detail.header}, and is not in ${detail.gate}, who alone may — let clients come through the proxy, or add its address`
    case 'preflight':
      return `on a CORS preflight (Origin ${quote(detail.origin ?? '')}), for which browsers send no certificate — mount cors() before clientCert(), or preflight: 'answer'; a proxy with verify "on" must be "optional"`
    case 'probe':
      return `on ${detail.method} ${quote(detail.path ?? '')} from ${quote(detail.agent ?? 'a probe')} — skip: r => r.url === ${quote(detail.path ?? '')}, or probe a second, plain port`
    case 'not-among-advertised':
      return `we asked and advertised ${detail.advertisedCount} CA${detail.advertisedCount === 1 ? '' : 's'} (${(detail.advertised ?? []).map(quote).join(', ')}); the client sent none — clients pick only certificates under an advertised CA: leave advertise out (ca: []), or add its CA to trust`
    case 'none-sent':
      return `we asked, the client (${agent}${detail.protocol ?? 'TLS'}) sent none — Node fetch needs dispatcher: new Agent({ connect: { cert, key } }); axios: httpsAgent inside the config object; curl: --cert and --key`
    case 'not-http':
      return `the client (${detail.protocol ?? 'TLS'}) sent no certificate — give it one, and set requestCert on the server`
  }
}

function unknownIssuer({ cause, issuer, root, anchors, anchorCount, trust }: UnknownIssuerDetail): string {
  switch (cause) {
    case 'lost-on-resumption':
      return `on a resumed session: intermediate ${quote(issuer)} is sent only in full handshakes — intermediates: './intermediates.pem'`
    case 'missing-intermediate': {
      const known = root === undefined ? '' : ` (its root ${quote(root)} is trusted)`
      return `issued by ${quote(issuer)}, which neither the client sent nor we have${known} — client: cat client.pem issuing.pem; or intermediates: './issuing.pem'`
    }
    case 'self-signed':
      return `${quote(issuer)} signed its own certificate, which is not trusted — issue the client from a CA in trust, or pin exactly this one: trust: { pinned: './device.pem' }`
    case 'not-trusted': {
      const more = anchorCount > anchors.length ? ` and ${anchorCount - anchors.length} more` : ''
      return `issued by ${quote(issuer)}; trust${trust ? ` (${trust})` : ''} holds only ${anchors.map(quote).join(', ')}${more} — trust: is the CA of your clients, not of your server certificate`
    }
  }
}

function nameConstraints({ subject, form, name, violation }: NameConstraintsDetail): string {
  const what = `the ${form} ${quote(name)} of ${quote(subject)}`
  switch (violation) {
    case 'excluded':
      return `${what} is excluded by the name constraints of an issuer — issue it from a CA that may certify that name`
    case 'not-permitted':
      return `${what} is outside of what an issuer may certify — issue it from a CA whose name constraints permit that name`
    case 'not-supported':
      return `${what} falls under a name constraint that cannot be compared with it — issue it without that name`
  }
}

function keyUsage({ extension, role, required, present, subject }: KeyUsageDetail): string {
  if (role === 'issuer') {
    return `the issuer ${quote(subject)} lacks ${required} in ${extension} (has ${listed(present)}) — re-issue the CA certificate`
  }
  if (extension === 'keyUsage') {
    return `keyUsage is ${listed(present)} without ${required}, which signing a TLS handshake needs — re-issue with keyUsage=digitalSignature`
  }
  if (present === undefined) {
    return 'no extendedKeyUsage (nginx and Azure accept this, we do not by default) — re-issue, or profile: { requireExtendedKeyUsage: false }'
  }
  return present.length === 1 && present[0] === 'serverAuth'
    ? 'made for servers (EKU serverAuth), not clients; public CAs stopped issuing clientAuth in 2026 — use a private CA'
    : `extendedKeyUsage is ${listed(present)} without ${required} — re-issue with extendedKeyUsage=clientAuth`
}

function listed(values: readonly string[] | undefined): string {
  if (values === undefined) return 'none'
  return values.length > 4 ? `${values.slice(0, 4).join(', ')}, …` : values.join(', ') || 'nothing'
}

function rule(detail: RuleDetail): string {
  const name = quoteRule(detail.rule)
  switch (detail.reason) {
    case 'did-not-hold':
      return `${name} did not hold${detail.hint ? `; ${detail.hint}` : ' — allow this identity in the rule, or issue it another certificate'}`
    case 'threw':
      return `${name} threw, which refuses — mend the rule${detail.hint ? `: ${detail.hint}` : ''}`
    case 'timed-out':
      return `${name} did not answer in time, which refuses — make it faster, or raise its timeout`
    case 'not-true':
      return `${name} returned ${detail.hint ?? 'something'}, only true admits — return a boolean`
  }
}

/** A rule's description is ours, but its operands are the operator's: control characters out, length bounded. */
function quoteRule(description: string): string {
  const quoted = quote(description)
  return quoted.slice(1, -1).replaceAll('\\"', '"')
}

const shortId = (hex: string) => (hex.length > 8 ? `${hex.slice(0, 4)}…` : hex)

/** What a provider of the application's rejected with. Node's fetch says "fetch failed", and why in the code of its cause. */
export function wordsOf({ message, cause }: Error): string {
  const code = cause instanceof Error ? (cause as NodeJS.ErrnoException).code : undefined
  return typeof code === 'string' && /^[A-Z0-9_]{1,64}$/.test(code) ? `${quote(message)} (${code})` : quote(message)
}

/** What was thrown, whatever it is. */
function describeCause(cause: unknown): string {
  try {
    return cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause)
  } catch {
    return 'something that cannot be printed'
  }
}
