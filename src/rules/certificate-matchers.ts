import { ClientCertConfigError, nearest } from '../errors.js'
import type { PublicKeyDescription } from '../identity/fields.js'
import type { ClientIdentity } from '../identity/identity.js'
import { textOf } from '../stack.js'
import { attributeType, oid, usageName, usageOf } from '../x509/oid.js'
import { call } from './call.js'
import { durationOf, operandOf } from './operands.js'
import { broken, held, identityRule, makeRule, type Rule } from './rule.js'

/** The certificate is exactly this one: SHA-256 of its DER in hexadecimal, with or without colons, in any case. */
export function fingerprint(sha256: string): Rule {
  const hex = fingerprintOf('fingerprint', sha256)
  return identityRule(
    call('fingerprint', hex),
    {
      holds: (identity) => identity.fingerprint === hex,
      found: (identity) => identity.fingerprint,
      hint: (identity) => `the certificate is ${identity.fingerprint} — add it, or was it renewed?`,
    },
    { bindsIssuer: true },
  )
}

/** @internal Sixty-four lower-case digits of a SHA-256 fingerprint, or the mistake with its fix. */
export function fingerprintOf(rule: string, operand: unknown): string {
  const written = operandOf(rule, operand)
  const hex = written
    .replace(/^sha-?256[ :=]*(?:fingerprint=)?/i, '')
    .replace(/[:\s]/g, '')
    .toLowerCase()
  const advice = `openssl x509 -in ${rule === 'issuedBy' ? 'ca.pem' : 'client.pem'} -noout -fingerprint -sha256`
  const shown = JSON.stringify(written.length > 24 ? `${written.slice(0, 12)}…` : written)
  if (/^[0-9a-f]{40}$/.test(hex))
    throw new ClientCertConfigError(`${rule}(${shown}) is SHA-1 (20 bytes) — use SHA-256: ${advice}`)
  if (/^[A-Za-z0-9_-]{43}$/.test(written)) {
    const equal = Buffer.from(written, 'base64url').toString('hex')
    throw new ClientCertConfigError(`${rule}(${shown}) is base64url (x5t#S256) — write it in hexadecimal: ${equal}`)
  }
  if (!/^[0-9a-f]{64}$/.test(hex))
    throw new ClientCertConfigError(`${rule}(${shown}) is not SHA-256 (32 bytes of hexadecimal) — ${advice}`)
  return hex
}

/**
 * The certificate's public key is this one, whatever certificate it is in: SHA-256 of the SubjectPublicKeyInfo, base64 as in RFC 7469 or
 * hexadecimal. A certificate renewed with the same key stays.
 */
export function publicKeyPin(sha256: string): Rule {
  const written = operandOf('publicKeyPin', sha256)
  const wanted = pinOf(written.trim())
  if (wanted === undefined) {
    throw new ClientCertConfigError(
      `${call('publicKeyPin', written)} is not SHA-256 in base64 (44 characters) or hexadecimal — openssl x509 -in client.pem -noout -pubkey | openssl pkey -pubin -outform DER | openssl dgst -sha256 -binary | base64`,
    )
  }
  return identityRule(
    call('publicKeyPin', wanted),
    {
      holds: (identity) => identity.publicKeyPin === wanted,
      found: (identity) => identity.publicKeyPin,
      hint: (identity) => `the key is ${identity.publicKeyPin} — add it, or was the key renewed?`,
    },
    { bindsIssuer: true },
  )
}

/**
 * The pin in base64, or nothing. One pin in 64 begins with a "/" of its own, so "sha256//" in front of it is read as curl's prefix and as the
 * RFC's with the pin's first character: the length says which, as only one of the two leaves 32 octets.
 */
function pinOf(written: string): string | undefined {
  for (const prefix of [/^/, /^sha256\//i, /^sha256\/\//i]) {
    const pin = written.replace(prefix, '')
    const hex = pin.replace(/[:\s]/g, '')
    if (/^[0-9a-f]{64}$/i.test(hex)) return Buffer.from(hex, 'hex').toString('base64')
    const octets = Buffer.from(pin, 'base64')
    if (octets.length === 32 && octets.toString('base64') === pin) return pin
  }
  return undefined
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
  const list = ({ policies }: ClientIdentity) => policies.slice(0, 3).join(', ') || 'no policy'
  return identityRule(call('certificatePolicy', wanted), {
    holds: ({ policies }) => policies.includes(wanted),
    found: list,
    hint: (identity) => `its path is valid under ${list(identity)} — issue it under that policy`,
  })
}

/** The certificate itself names this extended key usage (RFC 5280 §4.2.1.12): a name such as `clientAuth`, or an object identifier. anyExtendedKeyUsage does not count for another. */
export function extendedKeyUsage(usage: string): Rule {
  const written = operandOf('extendedKeyUsage', usage)
  const wanted = usageOf(written) ?? (attributeType(written) === written ? written : undefined)
  if (wanted === undefined) {
    throw new ClientCertConfigError(
      `${call('extendedKeyUsage', written)} is no known usage — clientAuth, emailProtection, …, or its object identifier`,
    )
  }
  const list = ({ extendedKeyUsage: found }: ClientIdentity) =>
    found === undefined ? 'none' : found.slice(0, 4).map(usageName).join(', ')
  return identityRule(call('extendedKeyUsage', written), {
    holds: ({ extendedKeyUsage: found }) => found?.includes(wanted) === true,
    found: list,
    hint: (identity) => `its extendedKeyUsage is ${list(identity)} — issue it with ${usageName(wanted)}`,
  })
}

const algorithms = [
  'RSA',
  'RSA-PSS',
  'EC',
  'P-256',
  'P-384',
  'P-521',
  'Ed25519',
  'Ed448',
  'ML-DSA-44',
  'ML-DSA-65',
  'ML-DSA-87',
]

/**
 * The certificate's public key is of one of these kinds: `RSA`, `RSA-PSS`, `EC`, a curve (`P-256`), `Ed25519`, `Ed448`, `ML-DSA-65`; `RSA-3072`
 * is an RSA key of 3,072 bits or more.
 */
export function keyAlgorithm(first: string, ...rest: readonly string[]): Rule {
  const wanted = [first, ...rest].map(checkedAlgorithm)
  return identityRule(call('keyAlgorithm', ...wanted), {
    holds: ({ publicKey }) => wanted.some((name) => isOfAlgorithm(publicKey, name)),
    found: ({ publicKey }) => nameOf(publicKey),
    hint: ({ publicKey }) =>
      `the key is ${nameOf(publicKey)} — issue a certificate with another key, or allow it in the rule`,
  })
}

function checkedAlgorithm(name: unknown): string {
  const written = operandOf('keyAlgorithm', name)
  if (algorithms.includes(written) || /^RSA(?:-PSS)?-[1-9]\d{3,4}$/.test(written)) return written
  const near = nearest(written, algorithms)
  throw new ClientCertConfigError(
    `${call('keyAlgorithm', written)} is no known kind of key.${near ? ` Did you mean "${near}"?` : ` Known: ${algorithms.join(', ')}, RSA-3072 and the like`}`,
  )
}

function isOfAlgorithm({ algorithm, curve, bits }: PublicKeyDescription, name: string): boolean {
  if (name === algorithm || (curve !== undefined && name === curve)) return true
  const [, type, minimum] = /^(RSA(?:-PSS)?)-(\d+)$/.exec(name) ?? []
  return type === algorithm && bits !== undefined && bits >= Number(minimum)
}

const nameOf = ({ algorithm, curve, bits }: PublicKeyDescription) =>
  curve ?? (bits === undefined ? algorithm : `${algorithm}-${bits}`)

/** From notBefore to notAfter there is no more than this: `90d`, `24h`, `30m`. */
export function maximumLifetime(duration: string): Rule {
  const limit = durationOf('maximumLifetime', duration)
  const lifetime = ({ notBefore, notAfter }: ClientIdentity) => notAfter.getTime() - notBefore.getTime()
  return identityRule(call('maximumLifetime', duration), {
    holds: (identity) => lifetime(identity) <= limit,
    found: (identity) => `${Math.round(lifetime(identity) / 1000)} s`,
    hint: (identity) => `it is valid for ${Math.round(lifetime(identity) / 1000)} s — issue it for a shorter time`,
  })
}

/** The certificate is valid for this long from now on, at least: `7d`, `12h`. Asked on every request. */
export function validFor(duration: string): Rule {
  const least = durationOf('validFor', duration)
  const description = call('validFor', duration)
  return makeRule({
    description,
    isOfIdentity: false,
    // A moment that is not known is no moment at which it is valid: the comparison is false.
    allow: ({ notAfter }, _request, at = Number.NaN) =>
      notAfter.getTime() - at >= least
        ? held(description)
        : broken(description, 'did-not-hold', `it ends ${notAfter.toISOString()} — renew it`),
  })
}

/**
 * The certificate has this extension, and its value (the contents of extnValue: usually DER) passes the predicate, or is exactly these octets.
 * Only `true` holds; an exception refuses.
 *
 * @example
 * rules.extension('1.3.6.1.4.1.99999.7', (der) => Buffer.from(der).equals(Buffer.from('0101ff', 'hex')))
 */
export function extension(
  identifier: string,
  value: Uint8Array | ((der: Uint8Array, critical: boolean) => boolean),
): Rule {
  const wanted = operandOf('extension', identifier)
  if (attributeType(wanted) !== wanted) {
    throw new ClientCertConfigError(
      `${call('extension', wanted)} is not an object identifier — dotted, as in "1.3.6.1.4.1.99999.7"`,
    )
  }
  if (typeof value !== 'function' && !(value instanceof Uint8Array)) {
    throw new ClientCertConfigError(
      `${call('extension', wanted)}: expected a function of its octets, or the octets, got ${typeof value}`,
    )
  }
  const octets = value instanceof Uint8Array ? Buffer.from(value) : undefined
  const description =
    octets === undefined ? call('extension', wanted) : call('extension', wanted, octets.toString('hex'))
  const passes = typeof value === 'function' ? value : (der: Uint8Array) => octets?.equals(der) === true
  return makeRule({
    description,
    isOfIdentity: true,
    ...(typeof value === 'function' && {
      describe: () => ({ kind: 'extension', operands: [wanted], passes: 'function', where: { function: value.name } }),
    }),
    allow: (identity) => {
      const found = identity.extension(wanted)
      if (found === undefined) {
        return broken(description, 'did-not-hold', 'the certificate has no such extension — issue it with it')
      }
      try {
        const answer: unknown = passes(found.value, found.critical)
        if (answer === true) return held(description)
        if (answer === false) return broken(description, 'did-not-hold')
        return broken(description, 'not-true', answer === null ? 'null' : `a value of type ${typeof answer}`)
      } catch (error) {
        return broken(description, 'threw', textOf(error))
      }
    },
  })
}
