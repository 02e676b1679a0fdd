// Clients' CAs and the server's own certificate from the PKI secrets engine of HashiCorp Vault (1.11 or later) or OpenBao.
//
//   VAULT_ADDR=https://vault.internal:8200 VAULT_TOKEN=… COMMON_NAME=api.internal node vault-pki.mjs
//
// CLIENT_MOUNT (pki) is where clients' certificates come from. All its issuers are trusted, so that a rotation is: make the new
// issuer in Vault, set it as default, and delete the old one when its clients are gone. No token is needed for that.
// SERVER_MOUNT (pki) and SERVER_ROLE (server) issue the server's own certificate; the token needs `update` on SERVER_MOUNT/issue/SERVER_ROLE.
// For Vault behind a private CA: NODE_EXTRA_CA_CERTS.
import { TrustStore } from 'mtls-identity'
import { ask, refresh, serve, setting } from './serve.mjs'

const vault = setting('VAULT_ADDR')
const clients = setting('CLIENT_MOUNT', 'pki')
const servers = setting('SERVER_MOUNT', 'pki')
const at = (path) => new URL(`/v1/${path}`, vault)

const trust = TrustStore.from(
  async ({ signal }) => {
    const { data } = await ask(at(`${clients}/issuers?list=true`), { signal })
    return Promise.all(data.keys.map((id) => ask(at(`${clients}/issuer/${id}/pem`), { as: 'text', signal })))
  },
  { refresh, label: 'Vault PKI' },
)

/** A certificate for a day, with a new key each time: renewed long before it ends. */
async function load({ signal }) {
  const { data } = await ask(at(`${servers}/issue/${setting('SERVER_ROLE', 'server')}`), {
    method: 'POST',
    headers: { 'X-Vault-Token': setting('VAULT_TOKEN'), 'Content-Type': 'application/json' },
    body: JSON.stringify({ common_name: setting('COMMON_NAME'), ttl: '24h' }),
    signal,
  })
  const { private_key: key, certificate, ca_chain = [] } = data
  return { key, cert: [certificate, ...ca_chain].join('\n') }
}

const material = await load({ signal: AbortSignal.timeout(30_000) })
const renewal = Number(process.env.RENEW ?? 8 * 3_600_000)
await serve('Vault PKI', { trust, material, credentials: { load, refresh: renewal } })
