// A secret that cert-manager renews, mounted into the pod. No API is asked: files are watched, links that the kubelet flips included.
//
//   node cert-manager.mjs /etc/tls [/etc/clients/ca.crt]
//
// The first folder holds tls.key, tls.crt and ca.crt, as cert-manager writes them. ca.crt is the issuer of the server's own certificate;
// it is your clients' CA too only where the same issuer makes both. Elsewhere, name theirs: a ConfigMap or trust-manager's Bundle.
// In the pod: volumes[].secret.defaultMode: 0400, so that nobody else in it reads the key.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { serve } from './serve.mjs'

const [mount, clients = mount && join(mount, 'ca.crt')] = process.argv.slice(2)
if (mount === undefined) throw new Error('usage: node cert-manager.mjs /etc/tls [/etc/clients/ca.crt]')

const credentials = { key: join(mount, 'tls.key'), cert: join(mount, 'tls.crt') }
const material = { key: readFileSync(credentials.key), cert: readFileSync(credentials.cert) }
await serve('cert-manager', { trust: clients, material, credentials })
