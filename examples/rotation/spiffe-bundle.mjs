// Clients with X.509-SVIDs of a trust domain, whose bundle comes from its endpoint (SPIFFE Federation §5, https_web profile).
//
//   TRUST_DOMAIN=acme.example BUNDLE_ENDPOINT=https://spire.acme.example:8443 node spiffe-bundle.mjs server.key server.crt
//
// For an endpoint behind a private CA: NODE_EXTRA_CA_CERTS.
import { readFileSync } from 'node:fs'
import { rules, TrustStore } from 'mtls-identity'
import { ask, refresh, serve, setting } from './serve.mjs'

const trustDomain = setting('TRUST_DOMAIN')
const endpoint = setting('BUNDLE_ENDPOINT')
let sequence = -1

/** A bundle is a JWK set; each authority of X.509-SVIDs is one certificate in x5c (SPIFFE Trust Domain and Bundle §4). */
async function load({ signal }) {
  const { keys, spiffe_sequence = sequence } = await ask(endpoint, { signal })
  // A cache, or somebody in between, that brings back what was replaced.
  if (spiffe_sequence < sequence) throw new Error(`the bundle went back from ${sequence} to ${spiffe_sequence}`)
  const authorities = keys.filter(({ use }) => use === 'x509-svid')
  if (!authorities.every(({ x5c }) => Array.isArray(x5c) && x5c.length === 1))
    throw new Error('x5c of an authority is not one certificate')
  sequence = spiffe_sequence
  return authorities.map(({ x5c: [certificate] }) => Buffer.from(certificate, 'base64'))
}

const trust = TrustStore.from(load, { refresh, label: `bundle of ${trustDomain}` })
// An authority of this bundle vouches for this trust domain, and for no other.
const ours = rules.custom(`trust domain ${trustDomain}`, ({ spiffeId }) => spiffeId?.trustDomain === trustDomain, {
  remember: 'identity',
})

const [key, cert] = process.argv.slice(2)
if (cert === undefined) throw new Error('usage: node spiffe-bundle.mjs server.key server.crt')
const material = { key: readFileSync(key), cert: readFileSync(cert) }
await serve('SPIFFE bundle', { trust, rules: ours, material, credentials: { key, cert } })
