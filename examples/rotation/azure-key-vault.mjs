// Clients' CA and the server's own key from Azure Key Vault, by managed identity.
//
//   KEY_VAULT_URL=https://acme.vault.azure.net CLIENT_CAS=clients-ca,partners-ca SERVER_CERTIFICATE=api node azure-key-vault.mjs
//
// CLIENT_CAS are certificates of the vault: their public part (CER) is all that trust needs; permission: certificates/get.
// CLIENT_CAS_PFX, instead, are certificates whose PFX holds the CAs beside an end entity; Node cannot read certificates out of
// PKCS#12, the openssl command can. SERVER_CERTIFICATE's PFX goes to Node as it is. Both need secrets/get.
// AZURE_CLIENT_ID names a user-assigned identity. On a VM or AKS, tokens come from the metadata service; on App Service and
// Functions from IDENTITY_ENDPOINT, which the platform sets.
import { execFileSync } from 'node:child_process'
import { TrustStore } from 'mtls-identity'
import { ask, refresh, serve, setting } from './serve.mjs'

const vault = setting('KEY_VAULT_URL')
const resource = 'https://vault.azure.net'
const apiVersion = '7.4'

let token = { value: '', until: 0 }

/** A token is good for hours; a new one is asked for five minutes before its end. */
async function accessToken(signal) {
  if (Date.now() < token.until - 300_000) return token.value
  const { AZURE_CLIENT_ID, IDENTITY_ENDPOINT, IDENTITY_HEADER } = process.env
  const onAppService = IDENTITY_ENDPOINT !== undefined && IDENTITY_HEADER !== undefined
  const metadata = process.env.IMDS_ENDPOINT ?? 'http://169.254.169.254'
  const url = new URL(onAppService ? IDENTITY_ENDPOINT : `${metadata}/metadata/identity/oauth2/token`)
  url.searchParams.set('api-version', onAppService ? '2019-08-01' : '2018-02-01')
  url.searchParams.set('resource', resource)
  if (AZURE_CLIENT_ID !== undefined) url.searchParams.set('client_id', AZURE_CLIENT_ID)
  const headers = onAppService ? { 'X-IDENTITY-HEADER': IDENTITY_HEADER } : { Metadata: 'true' }
  const { access_token, expires_on } = await ask(url, { headers, signal })
  token = { value: access_token, until: Number(expires_on) * 1000 }
  return token.value
}

async function get(path, signal) {
  const headers = { Authorization: `Bearer ${await accessToken(signal)}` }
  return ask(new URL(`${path}?api-version=${apiVersion}`, vault), { headers, signal })
}

/** The certificate alone: DER in base64. */
const cer = async (name, signal) => Buffer.from((await get(`/certificates/${name}`, signal)).cer, 'base64')

/** The certificate with its key, as it was imported or made: PKCS#12 without a passphrase, or PEM. */
async function secret(name, signal) {
  const { value, contentType } = await get(`/secrets/${name}`, signal)
  if (contentType === 'application/x-pkcs12') return { pfx: Buffer.from(value, 'base64') }
  if (contentType === 'application/x-pem-file') return { key: value, cert: value }
  throw new Error(`${name} is ${contentType}, not a certificate's secret`)
}

/** The CA certificates in a PFX, without names and attributes between them. */
async function authoritiesOf(name, signal) {
  const { pfx } = await secret(name, signal)
  const args = ['pkcs12', '-cacerts', '-nokeys', '-passin', 'pass:']
  const text = execFileSync('openssl', args, { input: pfx, encoding: 'utf8', stdio: ['pipe', 'pipe', 'ignore'] })
  return text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
}

const names = (variable) => process.env[variable]?.split(',') ?? []

const trust = TrustStore.from(
  async ({ signal }) => [
    ...(await Promise.all(names('CLIENT_CAS').map((name) => cer(name, signal)))),
    ...(await Promise.all(names('CLIENT_CAS_PFX').map((name) => authoritiesOf(name, signal)))).flat(),
  ],
  { refresh, label: 'Azure Key Vault' },
)
const load = ({ signal }) => secret(setting('SERVER_CERTIFICATE'), signal)

const material = await load({ signal: AbortSignal.timeout(30_000) })
await serve('Azure Key Vault', { trust, material, credentials: { load, refresh } })
