import { inspect } from 'node:util'
import type { ClientCertErrorCode, ClientCertErrorDetails, Refusal } from './details.js'
import { helpFor } from './help.js'
import { limits } from './limits.js'
import { muteStack } from './stack.js'

export type {
  AbsentDetail,
  ClientCertErrorCode,
  ClientCertErrorDetails,
  KeyUsageDetail,
  NameConstraintsDetail,
  RuleDetail,
  UnknownIssuerDetail,
} from './details.js'

/** One row of the error table. */
export interface ErrorRow {
  /** HTTP status (RFC 9110 §15). */
  readonly status: 400 | 401 | 403 | 500 | 503
  readonly meaning: string
  readonly source: string
}

/**
 * Every refusal: HTTP status, meaning, source. RFC 9110 §15.5.2 asks a 401 to carry a challenge;
 * RFC 9440 §2.4 asks for 403 where a certificate is unacceptable.
 */
export const errorTable: { readonly [C in ClientCertErrorCode]: ErrorRow } = Object.freeze({
  ERR_CLIENT_CERT_ABSENT: row(401, 'no client certificate was presented', 'RFC 9110 §15.5.2'),
  ERR_CLIENT_CERT_MALFORMED: row(403, 'the certificate is not valid DER or not a certificate', 'RFC 5280 §4.1, X.690'),
  ERR_CLIENT_CERT_VERSION: row(403, 'not an X.509 version 3 certificate', 'RFC 5280 §4.1.2.1'),
  ERR_CLIENT_CERT_UNKNOWN_ISSUER: row(403, 'no certification path to a trust anchor', 'RFC 5280 §6.1.3 (a)(4)'),
  ERR_CLIENT_CERT_SIGNATURE: row(403, "the issuer's key did not sign it", 'RFC 5280 §6.1.3 (a)(1)'),
  ERR_CLIENT_CERT_ALGORITHM: row(403, 'a signature algorithm that is not accepted', 'RFC 5280 §4.1.1.2'),
  ERR_CLIENT_CERT_WEAK_KEY: row(403, 'a public key that is not accepted', 'RFC 5280 §4.1.2.7, NIST SP 800-131A'),
  ERR_CLIENT_CERT_EXPIRED: row(403, 'after notAfter', 'RFC 5280 §6.1.3 (a)(2)'),
  ERR_CLIENT_CERT_NOT_YET_VALID: row(403, 'before notBefore', 'RFC 5280 §6.1.3 (a)(2)'),
  ERR_CLIENT_CERT_BASIC_CONSTRAINTS: row(403, 'an issuer that is not a CA', 'RFC 5280 §6.1.4 (k)'),
  ERR_CLIENT_CERT_PATH_LENGTH: row(403, 'more intermediates than an issuer allows', 'RFC 5280 §6.1.4 (l)(m)'),
  ERR_CLIENT_CERT_KEY_USAGE: row(403, 'made for another use', 'RFC 5280 §4.2.1.3, §4.2.1.12'),
  ERR_CLIENT_CERT_CA_AS_CLIENT: row(403, 'a CA certificate presented as a client', 'RFC 5280 §4.2.1.9'),
  ERR_CLIENT_CERT_EXTENSION: row(403, 'an extension that cannot be processed', 'RFC 5280 §4.2'),
  ERR_CLIENT_CERT_NAME_CONSTRAINTS: row(403, 'a name its issuer may not certify', 'RFC 5280 §6.1.3 (b)(c)'),
  ERR_CLIENT_CERT_POLICY: row(403, 'not issued under a required certificate policy', 'RFC 5280 §6.1.3 (f), §6.1.5'),
  ERR_CLIENT_CERT_BUDGET: row(403, 'validation would cost more than is allowed', 'RFC 4158 §2.4'),
  ERR_CLIENT_CERT_REVOKED: row(403, 'revoked', 'RFC 5280 §6.3'),
  ERR_CLIENT_CERT_REVOCATION_UNKNOWN: row(503, 'revocation status could not be determined', 'RFC 5280 §6.3'),
  ERR_CLIENT_CERT_RULE: row(403, 'a rule did not hold', 'RFC 9110 §15.5.4'),
  ERR_CLIENT_CERT_PRINCIPAL: row(403, 'the application knows nobody by this certificate', 'RFC 9110 §15.5.4'),
  ERR_CLIENT_CERT_SVID: row(403, 'no X509-SVID of a trust domain that is known', 'X509-SVID §2, §5'),
  ERR_CLIENT_CERT_RENEGOTIATED: row(403, 'the connection changed its certificate', 'RFC 5246 §7.4.1.1'),
  ERR_CLIENT_CERT_UNTRUSTED_PROXY: row(403, 'a certificate header from a peer that may not send it', 'RFC 9440 §4'),
  ERR_CLIENT_CERT_PROXY_REFUSED: row(
    403,
    "the proxy's verdict on the certificate is not its accepting one",
    'RFC 9440 §2.4',
  ),
  ERR_CLIENT_CERT_HEADER_MALFORMED: row(400, 'a certificate header that does not decode', 'RFC 9440 §2'),
  ERR_CLIENT_CERT_HEADER_AMBIGUOUS: row(400, 'a certificate header that may have two authors', 'RFC 9440 §2.4'),
  ERR_CLIENT_CERT_RUNTIME: row(500, 'the runtime hides the peer certificate', '-'),
  ERR_CLIENT_CERT_NOT_READY: row(503, 'the authenticator is not ready, or closed', 'RFC 9110 §15.6.4'),
  ERR_CLIENT_CERT_INTERNAL: row(500, 'an unexpected error; the request is refused', 'RFC 9110 §15.6.1'),
})

function row(status: ErrorRow['status'], meaning: string, source: string): ErrorRow {
  return Object.freeze({ status, meaning, source })
}

const brand = Symbol.for('mtls-identity/1.ClientCertError')
const retryAfterSeconds = '5'

/** How an answer differs from the table: what a mount's `responses` option says. */
export interface AnswerOverrides {
  status?: number
  /** Let the message, and with it the client, name the code. */
  exposeReason?: boolean
  /** Header fields beside those of the status. */
  headers?: Readonly<Record<string, string>>
}

/**
 * A refusal: a stable code and typed facts. It carries no stack, because the place in our source that refuses
 * says nothing about the cause, and because Express shows stacks to clients in development.
 *
 * `message` is what a client may read; `help` is for the operator only and is never sent.
 *
 * @example
 * if (isClientCertError(error) && error.code === 'ERR_CLIENT_CERT_EXPIRED') console.warn(error.detail.notAfter)
 */
export class ClientCertError<C extends ClientCertErrorCode = ClientCertErrorCode> extends Error {
  override readonly name = 'ClientCertError'
  readonly code: C
  readonly detail: ClientCertErrorDetails[C]
  /** Which certificate of the path it concerns: 0 is the end entity. */
  readonly depth: number | undefined
  /** HTTP status, 400 to 599. */
  readonly status: number
  /** HTTP header fields that belong to the answer. */
  readonly headers: Readonly<Record<string, string>>
  /** False unless the mount says `exposeReason`: frameworks then send the status text only. */
  readonly expose: boolean
  readonly [brand] = true

  constructor(
    code: C,
    detail: ClientCertErrorDetails[C],
    options: { depth?: number | undefined; cause?: unknown } & AnswerOverrides = {},
  ) {
    const { status, meaning } = errorTable[code]
    const message = options.exposeReason ? `${publicMessage(status)}: ${code}, ${meaning}` : publicMessage(status)
    const unmute = muteStack()
    super(message, 'cause' in options ? { cause: options.cause } : undefined)
    unmute()
    this.code = code
    this.detail = bounded(detail)
    this.depth = options.depth
    this.status = options.status ?? status
    this.headers = { ...options.headers, ...headersFor(this.status) }
    this.expose = options.exposeReason === true
  }

  /** `statusCode`, as http-errors and some frameworks name it. */
  get statusCode(): number {
    return this.status
  }

  /** One line for the operator: one fact, one fix. Values from the peer are JSON-escaped and cut at 256 characters. */
  get help(): string {
    return helpFor(this as unknown as Refusal)
  }

  /** What `console.error(error)` prints, which Express does with every refusal: the operator's line, in which nothing is raw. */
  [inspect.custom](): string {
    return `${this.name} ${this.code} (${this.status}): ${this.help}`
  }

  /** What a client may read: `response.json(error)` must not tell it more. Log `code`, `detail` and `help`. */
  toJSON(): object {
    const { name, message, status } = this
    return this.expose ? { name, message, status, code: this.code } : { name, message, status }
  }
}

/** Every refusal, so that a `switch (error.code)` narrows `error.detail`. */
export type AnyClientCertError = { [C in ClientCertErrorCode]: ClientCertError<C> }[ClientCertErrorCode]

/** Refusals are remembered and handed around: their facts are few, short, and cannot be changed. */
function bounded<T extends object>(detail: T): T {
  const facts = Object.entries(detail).map(([name, fact]) => [name, boundedFact(fact)])
  return Object.freeze(Object.fromEntries(facts)) as T
}

function boundedFact(fact: unknown): unknown {
  if (typeof fact === 'string') return fact.length > limits.detailCharacters ? cut(fact) : fact
  if (Array.isArray(fact)) return Object.freeze(fact.slice(0, limits.detailEntries).map(boundedFact))
  return fact
}

/** By way of octets: a part of a string keeps the whole of it alive. */
const cut = (text: string) => `${Buffer.from(text.slice(0, limits.detailCharacters - 1)).toString()}…`

function publicMessage(status: number): string {
  if (status === 401) return 'client certificate required'
  return status < 500 ? 'client certificate refused' : 'client certificate could not be checked'
}

function headersFor(status: number): Readonly<Record<string, string>> {
  // RFC 9110 §11.6.1: a 401 MUST carry a challenge. No scheme is registered for TLS client authentication.
  // RFC 9440 §2.4 and RFC 9111 §3: what depends on the client's certificate is not for a shared cache.
  const uncached = { 'Cache-Control': 'no-store' }
  if (status === 401) return { ...uncached, 'WWW-Authenticate': 'ClientCertificate' }
  if (status === 503) return { ...uncached, 'Retry-After': retryAfterSeconds }
  return uncached
}

/** Makes a refusal; the caller throws it. */
export function deny<C extends ClientCertErrorCode>(
  code: C,
  detail: ClientCertErrorDetails[C],
  options: { depth?: number | undefined; cause?: unknown } = {},
): ClientCertError<C> {
  return new ClientCertError(code, detail, options)
}

/**
 * A refusal stays what it is; whatever else was thrown is an internal error, which refuses.
 *
 * @param stage what was being done, for the operator
 * @param ofApplication whether it was a function of the application that threw
 */
export function asInternal(thrown: unknown, stage: string, ofApplication?: 'yes' | 'perhaps'): AnyClientCertError {
  if (isClientCertError(thrown)) return thrown
  const detail = ofApplication === undefined ? { stage } : { stage, ofApplication }
  return deny('ERR_CLIENT_CERT_INTERNAL', detail, { cause: thrown })
}

/** The same refusal with another answer to the client. */
export function withAnswer(error: AnyClientCertError, overrides: AnswerOverrides): AnyClientCertError {
  const options = { depth: error.depth, ...overrides, ...('cause' in error ? { cause: error.cause } : {}) }
  return new ClientCertError(error.code, error.detail as never, options) as AnyClientCertError
}

/** True for a refusal made by any copy of this package (ESM, CommonJS, another version of the same major). */
export function isClientCertError(value: unknown): value is AnyClientCertError {
  return typeof value === 'object' && value !== null && (value as Record<symbol, unknown>)[brand] === true
}

/**
 * A programmer's or operator's mistake: thrown at construction, with the fix in its message. Where it can only be
 * seen on a request (a guard without the middleware) it answers 500.
 */
export class ClientCertConfigError extends TypeError {
  override readonly name = 'ClientCertConfigError'
  readonly code = 'ERR_CLIENT_CERT_CONFIG'
  readonly status = 500
  readonly statusCode = 500
  readonly expose = false
}

/** The unknown keys of an options object are mistakes, not extras: a misspelt option would switch a check off. */
export function refuseUnknownOptions(where: string, options: object, known: readonly string[]): void {
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue
    const near = nearest(name, known)
    throw new ClientCertConfigError(
      `${where}: unknown option "${name}".${near ? ` Did you mean "${near}"?` : ` Known: ${known.join(', ')}`}`,
    )
  }
}

/** An option that is there and undefined was meant and got lost: `{ maxAge: Number(process.env.MAX_AGE) || undefined }`. */
export function refuseUndefinedOptions(where: string, options: object): void {
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined)
      throw new ClientCertConfigError(`${where}: ${name} is undefined — leave the option out, or give it a value`)
  }
}

/** The known word within two edits of `word`, or of which it is the beginning or end. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const lower = word.toLowerCase()
  const affix = (k: string) => lower.length > 3 && (lower.includes(k.toLowerCase()) || k.toLowerCase().includes(lower))
  return known.find((k) => editDistance(lower, k.toLowerCase()) <= 2) ?? known.find((k) => k.length > 3 && affix(k))
}

function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const current = [i]
    for (let j = 1; j <= b.length; j++) {
      const substitution = (previous[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1)
      current.push(Math.min((previous[j] as number) + 1, (current[j - 1] as number) + 1, substitution))
    }
    previous = current
  }
  return previous[b.length] as number
}
