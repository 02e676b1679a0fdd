/** The facts each refusal carries. Names in it are RFC 4514 text, dates are absolute, octets are lower-case hex. */
export interface ClientCertErrorDetails {
  ERR_CLIENT_CERT_ABSENT: AbsentDetail
  ERR_CLIENT_CERT_MALFORMED: { structure: string; reason: string; offset?: number }
  ERR_CLIENT_CERT_VERSION: { subject: string; version: number }
  ERR_CLIENT_CERT_UNKNOWN_ISSUER: UnknownIssuerDetail
  ERR_CLIENT_CERT_SIGNATURE: { issuer: string; expectedKeyId?: string; trustedKeyId?: string }
  ERR_CLIENT_CERT_ALGORITHM: { subject: string; algorithm: string; reason: string }
  ERR_CLIENT_CERT_WEAK_KEY: { subject: string; key: string; reason: string; setting: string }
  ERR_CLIENT_CERT_EXPIRED: { subject: string; notAfter: Date; at: Date }
  ERR_CLIENT_CERT_NOT_YET_VALID: { subject: string; notBefore: Date; at: Date }
  ERR_CLIENT_CERT_BASIC_CONSTRAINTS: { subject: string; reason: string }
  ERR_CLIENT_CERT_PATH_LENGTH: { subject: string; pathLenConstraint: number }
  ERR_CLIENT_CERT_KEY_USAGE: KeyUsageDetail
  ERR_CLIENT_CERT_CA_AS_CLIENT: { subject: string; selfIssued: boolean }
  ERR_CLIENT_CERT_EXTENSION: { subject: string; oid: string; critical: boolean; reason: string; fix?: string }
  ERR_CLIENT_CERT_NAME_CONSTRAINTS: NameConstraintsDetail
  ERR_CLIENT_CERT_POLICY: { subject: string; required: readonly string[] | undefined }
  ERR_CLIENT_CERT_BUDGET: { limit: string; maximum: number }
  ERR_CLIENT_CERT_REVOKED: { subject: string; reason?: string; since?: Date }
  ERR_CLIENT_CERT_REVOCATION_UNKNOWN: { subject: string; reason: string; fix?: string }
  ERR_CLIENT_CERT_RULE: RuleDetail
  /** `reason`: why no name of it is its principal; undefined where `resolve` said nobody. */
  ERR_CLIENT_CERT_PRINCIPAL: { subject: string; fingerprint: string; reason?: string }
  /** `name`: the SPIFFE ID, or the subject where there is none. */
  ERR_CLIENT_CERT_SVID: { name: string; reason: string }
  ERR_CLIENT_CERT_RENEGOTIATED: { protocol: string }
  ERR_CLIENT_CERT_UNTRUSTED_PROXY: { peer: string | undefined; header: string; gate: string }
  ERR_CLIENT_CERT_PROXY_REFUSED: { header: string; verdict: string | undefined; accepts: string }
  ERR_CLIENT_CERT_HEADER_MALFORMED: { header: string; preset: string; reason: string; fix?: string }
  ERR_CLIENT_CERT_HEADER_AMBIGUOUS: {
    header: string
    cause: 'look-alike' | 'repeated' | 'in-connection' | 'too-many-fields' | 'disagreeing'
    reason: string
  }
  ERR_CLIENT_CERT_RUNTIME: { runtime: string; reason: string }
  ERR_CLIENT_CERT_NOT_READY: { reason: string }
  /** `ofApplication`: whether it was a function of the application that failed; absent where it was one of ours. */
  ERR_CLIENT_CERT_INTERNAL: { stage: string; ofApplication?: 'yes' | 'perhaps' }
}

/** Why a request has no certificate, as far as the server can see it. */
export interface AbsentDetail {
  cause:
    | 'plain-http'
    | 'not-requested'
    | 'resumed-without'
    | 'behind-proxy'
    | 'header-unread'
    | 'header-absent'
    | 'not-the-proxy'
    | 'preflight'
    | 'probe'
    | 'not-among-advertised'
    | 'none-sent'
    | 'not-http'
  /** Whether the listening server asks for certificates; undefined where that cannot be seen. */
  requested: boolean | undefined
  encrypted: boolean
  protocol?: string
  /** The forwarded-certificate header that was looked for, in header mode, and who may send it. */
  header?: string
  gate?: string
  /** This proxy has sent the header before, and what to look at in its configuration. */
  wasSent?: boolean
  whereToLook?: string
  /** Presets whose header came although nobody reads headers here. */
  presets?: readonly string[]
  /** Names of the certification authorities the server advertised, at most three. */
  advertised?: readonly string[]
  advertisedCount?: number
  method?: string
  path?: string
  agent?: string
  origin?: string
  peer?: string
}

export interface UnknownIssuerDetail {
  cause: 'missing-intermediate' | 'lost-on-resumption' | 'self-signed' | 'not-trusted'
  issuer: string
  /** The trusted name the missing issuer most likely leads to, where one certificate was missing only. */
  root?: string
  /** Names of the trust anchors, at most three. */
  anchors: readonly string[]
  anchorCount: number
  trust?: string
}

export interface NameConstraintsDetail {
  subject: string
  /** The form of the name, as RFC 5280 §4.2.1.6 calls it. */
  form: string
  name: string
  violation: 'excluded' | 'not-permitted' | 'not-supported'
}

export interface KeyUsageDetail {
  subject: string
  extension: 'keyUsage' | 'extendedKeyUsage'
  role: 'client' | 'issuer'
  required: string
  /** undefined: the extension is absent. */
  present: readonly string[] | undefined
}

export interface RuleDetail {
  rule: string
  reason: 'did-not-hold' | 'threw' | 'timed-out' | 'not-true'
  /** One sentence for the operator: what the certificate has instead. */
  hint?: string
}

export type ClientCertErrorCode = keyof ClientCertErrorDetails

/** What a sentence about a refusal is made from. */
export type Refusal = {
  [C in ClientCertErrorCode]: {
    readonly code: C
    readonly detail: ClientCertErrorDetails[C]
    readonly depth: number | undefined
    readonly cause?: unknown
  }
}[ClientCertErrorCode]
