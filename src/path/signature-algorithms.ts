import { oid } from '../x509/oid.js'

/** How a signature algorithm is used: what it hashes with, which keys it goes with, what its parameters must be. */
export interface SignatureAlgorithm {
  readonly name: string
  /** Digest name for `node:crypto`; undefined where the algorithm hashes by itself or by its parameters. */
  readonly digest: string | undefined
  readonly keyTypes: readonly string[]
  /** `null`: NULL or absent (RFC 4055 §5). `absent` (RFC 5758 §3.2, RFC 8410 §3). `pss`: RSASSA-PSS-params. */
  readonly parameters: 'null' | 'absent' | 'pss'
  readonly kind: 'rsa' | 'pss' | 'ecdsa' | 'dsa' | 'direct'
}

const rsa = (name: string, digest: string): SignatureAlgorithm => ({
  name,
  digest,
  keyTypes: ['RSA'],
  parameters: 'null',
  kind: 'rsa',
})
const ecdsa = (name: string, digest: string): SignatureAlgorithm => ({
  name,
  digest,
  keyTypes: ['EC'],
  parameters: 'absent',
  kind: 'ecdsa',
})
const dsa = (name: string, digest: string): SignatureAlgorithm => ({
  name,
  digest,
  keyTypes: ['DSA'],
  parameters: 'absent',
  kind: 'dsa',
})
const direct = (name: string, keyType: string): SignatureAlgorithm => ({
  name,
  digest: undefined,
  keyTypes: [keyType],
  parameters: 'absent',
  kind: 'direct',
})

/** Every algorithm that can be named in a profile; which ones are accepted is the profile's business. */
export const signatureAlgorithms: ReadonlyMap<string, SignatureAlgorithm> = new Map([
  [oid.md5WithRsa, rsa('md5WithRSAEncryption', 'md5')],
  [oid.sha1WithRsa, rsa('sha1WithRSAEncryption', 'sha1')],
  [oid.sha256WithRsa, rsa('sha256WithRSAEncryption', 'sha256')],
  [oid.sha384WithRsa, rsa('sha384WithRSAEncryption', 'sha384')],
  [oid.sha512WithRsa, rsa('sha512WithRSAEncryption', 'sha512')],
  [
    oid.rsassaPss,
    {
      name: 'id-RSASSA-PSS',
      digest: undefined,
      keyTypes: ['RSA', 'RSA-PSS'],
      parameters: 'pss',
      kind: 'pss',
    },
  ],
  [oid.ecdsaWithSha1, ecdsa('ecdsa-with-SHA1', 'sha1')],
  [oid.ecdsaWithSha256, ecdsa('ecdsa-with-SHA256', 'sha256')],
  [oid.ecdsaWithSha384, ecdsa('ecdsa-with-SHA384', 'sha384')],
  [oid.ecdsaWithSha512, ecdsa('ecdsa-with-SHA512', 'sha512')],
  [oid.dsaWithSha1, dsa('id-dsa-with-sha1', 'sha1')],
  [oid.dsaWithSha256, dsa('id-dsa-with-sha256', 'sha256')],
  [oid.ed25519, direct('id-Ed25519', 'Ed25519')],
  [oid.ed448, direct('id-Ed448', 'Ed448')],
  [oid.mlDsa44, direct('id-ml-dsa-44', 'ML-DSA-44')],
  [oid.mlDsa65, direct('id-ml-dsa-65', 'ML-DSA-65')],
  [oid.mlDsa87, direct('id-ml-dsa-87', 'ML-DSA-87')],
])

const byName: ReadonlyMap<string, string> = new Map(
  [...signatureAlgorithms].map(([identifier, { name }]) => [name.toLowerCase(), identifier]),
)

export const signatureAlgorithmNames: readonly string[] = [...signatureAlgorithms.values()].map(({ name }) => name)

/** The identifier of an algorithm written as name (in any case) or identifier; undefined where this package cannot verify it. */
export function signatureAlgorithmOid(written: string): string | undefined {
  return signatureAlgorithms.has(written) ? written : byName.get(written.toLowerCase())
}
