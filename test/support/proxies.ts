/**
 * Real proxies as child processes, each with the configuration of examples/proxies/ in a folder of its own. Of a configuration only what
 * `placed` lists is changed: the ports, and where the program keeps its own files. A test may change one thing more.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { TestPki } from '../../src/testing.js'
import { freePort } from './free-port.js'

/** With a configuration in examples/proxies/. */
export type ProxyName = 'nginx' | 'haproxy' | 'apache' | 'caddy'
/** Also those that nobody is advised to put in front of an application: their configurations stand below. */
export type ProgramName = ProxyName | 'nghttpx' | 'lighttpd'

/** One change of a configuration: what stands there once, and what stands there instead. */
export type Edit = readonly [from: string, to: string]

interface Program {
  readonly names: readonly string[]
  readonly version: readonly string[]
  /** A file of examples/proxies/, or what is written to a file of that name. */
  readonly configuration: string
  readonly text?: string
  readonly placed: (port: number, app: number) => readonly Edit[]
  readonly args: (folder: string) => readonly string[]
}

const temporaryFolders = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
  (name) => `${name}_temp_path ${name};`,
)

const lighttpdSocket = (port: number, enforce: 'enable' | 'disable') => `
$SERVER["socket"] == "127.0.0.1:${port}" {
  ssl.engine = "enable"
  ssl.pemfile = "server.pem"
  ssl.verifyclient.ca-file = "clients-ca.pem"
  ssl.verifyclient.activate = "enable"
  ssl.verifyclient.enforce = "${enforce}"
  ssl.verifyclient.depth = 4
  ssl.verifyclient.exportcert = "enable"
}`

const programs: { readonly [name in ProgramName]: Program } = {
  nginx: {
    names: ['/usr/sbin/nginx', 'nginx'],
    version: ['-v'],
    configuration: 'nginx.conf',
    placed: (port, app) => [
      ['listen 8443 ssl http2;', `listen 127.0.0.1:${port} ssl http2;`],
      ['server 127.0.0.1:3000;', `server 127.0.0.1:${app};`],
      ['http {', `http { ${temporaryFolders.join(' ')}`], // the compiled-in ones are root's
    ],
    args: (folder) => ['-p', folder, '-c', 'nginx.conf', '-e', 'stderr', '-g', 'daemon off; master_process off;'],
  },
  haproxy: {
    names: ['/usr/sbin/haproxy', 'haproxy'],
    version: ['-v'],
    configuration: 'haproxy.cfg',
    placed: (port, app) => [
      ['bind :8443 ssl', `bind 127.0.0.1:${port} ssl`],
      ['server app 127.0.0.1:3000', `server app 127.0.0.1:${app}`],
    ],
    args: () => ['-db', '-f', 'haproxy.cfg'],
  },
  apache: {
    names: ['/usr/sbin/apache2', 'apache2'],
    version: ['-v'],
    configuration: 'apache.conf',
    placed: (port, app) => [
      ['Listen 8443', `Listen 127.0.0.1:${port}`],
      ['<VirtualHost *:8443>', `<VirtualHost 127.0.0.1:${port}>`],
      ['http://127.0.0.1:3000/', `http://127.0.0.1:${app}/`],
    ],
    args: (folder) => ['-d', folder, '-f', 'apache.conf', '-DFOREGROUND'],
  },
  caddy: {
    names: ['/usr/bin/caddy', 'caddy'],
    version: ['version'],
    configuration: 'Caddyfile',
    placed: (port, app) => [
      ['https://:8443 {', `https://localhost:${port} {\n\tbind 127.0.0.1`],
      ['reverse_proxy 127.0.0.1:3000', `reverse_proxy 127.0.0.1:${app}`],
    ],
    args: () => ['run', '--config', 'Caddyfile', '--adapter', 'caddyfile'],
  },
  nghttpx: {
    names: ['/usr/sbin/nghttpx', 'nghttpx'],
    version: ['--version'],
    configuration: 'nghttpx.conf',
    // It verifies clients, and has no field to say which one it was.
    text: `
frontend=127.0.0.1,8443
backend=127.0.0.1,3000
private-key-file=server.key
certificate-file=server.crt
verify-client=yes
verify-client-cacert=clients-ca.pem
accesslog-file=/dev/null
errorlog-file=/dev/stderr
no-ocsp=yes
workers=1
single-process=yes
`,
    placed: (port, app) => [
      ['frontend=127.0.0.1,8443', `frontend=127.0.0.1,${port}`],
      ['backend=127.0.0.1,3000', `backend=127.0.0.1,${app}`],
    ],
    args: (folder) => [`--conf=${folder}/nghttpx.conf`],
  },
  lighttpd: {
    names: ['/usr/sbin/lighttpd', 'lighttpd'],
    version: ['-v'],
    configuration: 'lighttpd.conf',
    // One socket asks for a certificate and the other demands one: lighttpd resumes the sessions of either at both.
    text: `
server.modules = ("mod_openssl", "mod_magnet", "mod_proxy")
server.document-root = "/var/empty"
server.port = 8443
server.bind = "127.0.0.1"
${lighttpdSocket(8443, 'disable')}
${lighttpdSocket(8444, 'enable')}
magnet.attract-raw-url-to = (var.CWD + "/forward.lua")
proxy.server = ("" => (("host" => "127.0.0.1", "port" => 3000)))
`,
    placed: (port, app) => [
      ['server.port = 8443', `server.port = ${port}`],
      ['"127.0.0.1:8443"', `"127.0.0.1:${port}"`],
      ['"port" => 3000', `"port" => ${app}`],
    ],
    args: () => ['-D', '-f', 'lighttpd.conf'],
  },
}

/** What lighttpd knows of a client, in the form of Apache. */
const forwardLua = `
local r = lighty.r
local pem = r.req_env["SSL_CLIENT_CERT"]
r.req_header["X-SSL-Client-Cert"] = pem and string.gsub(string.gsub(pem, "%s+$", ""), "\\n", " ") or nil
r.req_header["X-SSL-Client-Verify"] = r.req_env["SSL_CLIENT_VERIFY"]
`

/** Undefined where the program is not installed; with CI set, that is a failure. */
export function programOf(name: ProgramName): string | undefined {
  const { names, version } = programs[name]
  const found = names.find((path) => spawnSync(path, version).status === 0)
  if (found === undefined && process.env.CI) throw new Error(`${name} is not installed, and CI is set`)
  return found
}

export interface RunningProxy {
  readonly port: number
  stop(): Promise<void>
}

/** Starts the proxy, as it is configured in examples/proxies/ or above, in front of an application; `edits` change its configuration. */
export async function startProxy(
  name: ProgramName,
  pki: TestPki,
  app: number,
  edits: readonly Edit[] = [],
): Promise<RunningProxy> {
  const program = programOf(name)
  if (program === undefined) throw new Error(`${name} is not installed`)
  const { configuration, text = example(configuration), placed, args } = programs[name]
  const folder = mkdtempSync(join(tmpdir(), `mtls-identity-${name}-`))
  chmodSync(folder, 0o755) // Apache changes its user
  const port = await freePort()
  const server = await pki.server()
  writeFileSync(join(folder, 'server.crt'), server.tls.cert)
  writeFileSync(join(folder, 'server.key'), server.tls.key)
  writeFileSync(join(folder, 'server.pem'), server.tls.cert + server.tls.key)
  writeFileSync(join(folder, 'clients-ca.pem'), pki.trust)
  writeFileSync(join(folder, 'forward.lua'), forwardLua)
  writeFileSync(join(folder, configuration), edited(text, [...edits, ...placed(port, app)]))
  const env = { ...process.env, HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder }
  const child = spawn(program, args(folder), { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] })
  let says = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      says += chunk
    })
  }
  const stop = async () => {
    await ended(child)
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    await listening(child, port)
  } catch (error) {
    await stop()
    throw new Error(`${name}: ${(error as Error).message}\n${says}`)
  }
  return { port, stop }
}

const example = (name: string) => readFileSync(join(import.meta.dirname, '../../examples/proxies', name), 'utf8')

function edited(text: string, edits: readonly Edit[]): string {
  return edits.reduce((before, [from, to]) => {
    if (before.split(from).length !== 2) throw new Error(`"${from}" does not stand there once`)
    return before.replace(from, () => to)
  }, text)
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exit = once(child, 'exit')
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), 5_000)
  await exit
  clearTimeout(timer)
}

async function listening(child: ChildProcess, port: number): Promise<void> {
  for (let attempt = 0; attempt < 200 && child.exitCode === null; attempt++) {
    const socket = connect(port, '127.0.0.1')
    try {
      await once(socket, 'connect')
      return
    } catch {
      await sleep(50)
    } finally {
      socket.destroy()
    }
  }
  throw new Error('it does not listen')
}
