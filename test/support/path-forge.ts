import { createECDH, createHash, createPrivateKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { type PathInput, type PathResult, validateCertificationPath } from '../../src/path.js'
import {
  basicConstraints,
  bitString,
  constructed,
  type Extension,
  extensionDer,
  extKeyUsage,
  id,
  integer,
  keyUsage,
  name,
  octetString,
  oid,
  primitive,
  purpose,
  sequence,
  subjectAltName,
  time,
} from './path-der.js'

/**
 * A certificate forge for suites that need thousands of them: keys are taken from a pool, everything is synchronous, and nothing of the
 * product is used. What it makes by default is what OpenSSL verifies with -x509_strict.
 */

/** The moment everything is made at and looked at. */
export const noon: Date = new Date('2026-11-20T12:00:00Z')
export const fromNoon = (seconds: number): Date => new Date(noon.getTime() + seconds * 1000)
const day = 86_400

export interface Key {
  readonly private: KeyObject
  readonly spki: Uint8Array
  readonly id: Uint8Array
  /** AlgorithmIdentifier of what it signs, with a digest of its own. Absent: ecdsa-with-SHA256. */
  readonly algorithm?: Uint8Array
}

/** The identifiers of key types that sign without a separate digest: RFC 8410 §3, RFC 9881 §3. */
export const pureAlgorithms = {
  ed25519: '1.3.101.112',
  ed448: '1.3.101.113',
  'ml-dsa-44': '2.16.840.1.101.3.4.3.17',
  'ml-dsa-65': '2.16.840.1.101.3.4.3.18',
  'ml-dsa-87': '2.16.840.1.101.3.4.3.19',
} as const
export type PureKeyType = keyof typeof pureAlgorithms

/** A new key of such a type; undefined where this runtime has not got it (ML-DSA before Node 24.7). */
export function pureKey(type: PureKeyType): Key | undefined {
  try {
    const { privateKey, publicKey } = generateKeyPairSync(type as 'ed25519')
    const spki = publicKey.export({ format: 'der', type: 'spki' })
    const id = createHash('sha256').update(spki).digest().subarray(0, 20)
    return { private: privateKey, spki, id, algorithm: sequence(oid(pureAlgorithms[type])) }
  } catch {
    return undefined
  }
}

const pool: Key[] = []
/** The n-th key of the pool: the same one in every run. Fit for nothing but tests. */
export function poolKey(n: number): Key {
  while (pool.length <= n) pool.push(makeKey(pool.length))
  return pool[n] as Key
}

function makeKey(n: number): Key {
  const pair = createECDH('prime256v1')
  pair.setPrivateKey(createHash('sha256').update(`mtls-identity test key ${n}`).digest())
  const point = pair.getPublicKey()
  const part = (octets: Buffer) => octets.toString('base64url')
  const jwk = {
    kty: 'EC',
    crv: 'P-256',
    d: part(pair.getPrivateKey()),
    x: part(point.subarray(1, 33)),
    y: part(point.subarray(33)),
  }
  const spki = sequence(sequence(oid('1.2.840.10045.2.1'), oid('1.2.840.10045.3.1.7')), bitString(point))
  const id = createHash('sha256').update(spki).digest().subarray(0, 20)
  return { private: createPrivateKey({ key: jwk, format: 'jwk' }), spki, id }
}

export interface Forged {
  readonly der: Uint8Array
  readonly tbs: Uint8Array
  readonly subject: Uint8Array
  readonly key: Key
}

export interface Plan {
  /** DER of a Name, or a common name. */
  readonly subject?: Uint8Array | string
  /** Absent: self-signed. */
  readonly issuer?: Forged
  readonly key?: Key
  /** Signs in the issuer's place. */
  readonly signer?: Key
  readonly ca?: boolean
  readonly pathLength?: number
  readonly names?: readonly Uint8Array[]
  /** In place of the default of their type, or added at the end. */
  readonly extensions?: readonly Extension[]
  readonly omit?: readonly string[]
  readonly notBefore?: Date
  readonly notAfter?: Date
  readonly serial?: number
  /** No signature, only room for one: for what is never verified. */
  readonly unsigned?: boolean
}

const ecdsaWithSha256 = sequence(oid('1.2.840.10045.4.3.2'))
const algorithmOf = ({ algorithm }: Key) => algorithm ?? ecdsaWithSha256
let serials = 0
let keys = 0

export const nameOf = (subject: Uint8Array | string): Uint8Array =>
  typeof subject === 'string' ? name(['CN', subject]) : subject

export function forge(plan: Plan): Forged {
  const ca = plan.ca ?? plan.issuer === undefined
  const key = plan.key ?? poolKey(keys++ % 24)
  const subject = nameOf(plan.subject ?? (ca ? 'Test CA' : 'alice'))
  const issuer = plan.issuer ?? { subject, key }
  const signer = plan.signer ?? issuer.key
  const replaced = new Set([...(plan.omit ?? []), ...(plan.extensions ?? []).map((extension) => extension.oid)])
  const defaults: Extension[] = [
    basicConstraints(ca, plan.pathLength),
    keyUsage(ca ? 0x06 : 0x80),
    ...(ca ? [] : [extKeyUsage([purpose.client])]),
    { oid: id.subjectKeyIdentifier, critical: false, value: octetString(key.id) },
    { oid: id.authorityKeyIdentifier, critical: false, value: sequence(primitive(0, issuer.key.id)) },
    ...(plan.names === undefined || plan.names.length === 0 ? [] : [subjectAltName(plan.names, subject.length === 2)]),
  ]
  const extensions = [...defaults.filter((extension) => !replaced.has(extension.oid)), ...(plan.extensions ?? [])]
  const tbs = sequence(
    constructed(0, integer(2)),
    integer(plan.serial ?? 0x1000_0000 + serials++),
    algorithmOf(signer),
    issuer.subject,
    sequence(time(plan.notBefore ?? fromNoon(-day)), time(plan.notAfter ?? fromNoon(day))),
    subject,
    key.spki,
    constructed(3, sequence(...extensions.map(extensionDer))),
  )
  const der = plan.unsigned ? sequence(tbs, algorithmOf(signer), bitString([0])) : seal(tbs, signer)
  return { der, tbs, subject, key }
}

/** A certificate around a signed part, whatever that says. */
export function seal(tbs: Uint8Array, signer: Key): Uint8Array {
  const digest = signer.algorithm === undefined ? 'sha256' : null
  return sequence(tbs, algorithmOf(signer), bitString(sign(digest, tbs, signer.private)))
}

/** A path of CAs from a root down, as plans without issuers; the issuers are filled in. */
export function forgePath(root: Forged, ...plans: readonly Plan[]): Forged[] {
  const made: Forged[] = []
  for (const plan of plans) made.push(forge({ ...plan, issuer: made.at(-1) ?? root }))
  return made
}

export const validate = (
  leaf: Forged,
  via: readonly Forged[],
  anchors: readonly Forged[],
  profile?: PathInput['profile'],
  at: Date = noon,
): Promise<PathResult> =>
  validateCertificationPath({
    certificate: leaf.der,
    intermediates: via.map(({ der }) => der),
    trustAnchors: anchors.map(({ der }) => der),
    at,
    ...(profile === undefined ? {} : { profile }),
  })

/** `accepted`, or the code without its prefix and the fact that tells most. */
export async function verdict(...input: Parameters<typeof validate>): Promise<string> {
  const result = await validate(...input)
  if (result.valid) return 'accepted'
  const { code, detail } = result.error
  const facts = detail as unknown as Record<string, unknown>
  const fact = facts.violation ?? facts.limit ?? facts.reason
  const form = facts.form === undefined ? '' : `${facts.form} `
  return `${code.replace('ERR_CLIENT_CERT_', '')}${fact === undefined ? '' : `: ${form}${fact}`}`
}

/** PEM, for openssl. */
export const pem = (der: Uint8Array, label = 'CERTIFICATE'): string =>
  `-----BEGIN ${label}-----\n${Buffer.from(der)
    .toString('base64')
    .replace(/.{1,64}/g, '$&\n')}-----END ${label}-----\n`

/** A small deterministic generator (mulberry32): [0, 1). */
export function random(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** What a generator decides. */
export function dice(seed: number) {
  const next = random(seed)
  const below = (n: number) => Math.floor(next() * n)
  return {
    below,
    chance: (probability: number) => next() < probability,
    pick: <T>(list: readonly T[]): T => list[below(list.length)] as T,
    /** Each with the same chance. */
    some: <T>(list: readonly T[], probability = 0.5): T[] => list.filter(() => next() < probability),
  }
}
