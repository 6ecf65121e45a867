/** What is logged, and where to. */
import { defaultAccessLogFormat } from '../access-format.ts';
import { accessFormat, boolean, choice, logFile } from './kinds.ts';
import { accessFields, pathPatterns, trustProxy } from './log-kinds.ts';
import { inGroup } from './setting.ts';

const setting = inGroup('Log');

export const log = {
  logLevel: setting({
    kind: choice(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']),
    default: 'info',
    doc: 'Least level that is logged',
    elsewhere: ['loglevel'],
  }),
  logFormat: setting({
    kind: choice(['auto', 'pretty', 'json']),
    default: 'auto',
    at: 'start',
    doc: 'auto is pretty on a terminal, JSON lines otherwise',
  }),
  /** `'-'` or a file. */
  errorLog: setting({
    kind: logFile('/dev/stderr', null),
    default: null,
    defaultAs: '- (stderr)',
    doc: "File for prefork's own log, or - for stderr",
    elsewhere: ['errorlog'],
  }),
  /** `'-'` or a file. */
  accessLog: setting({
    kind: logFile('/dev/stdout', '-'),
    default: null,
    doc: 'File for the access log, or - for stdout',
    elsewhere: ['accesslog', 'out_file'],
  }),
  /** Gunicorn's atoms, or `'json'`. */
  accessLogFormat: setting({
    kind: accessFormat,
    default: defaultAccessLogFormat,
    defaultAs: 'as Gunicorn',
    doc: "Format of the access log, in Gunicorn's atoms such as %(h)s, or json",
    elsewhere: ['access_logformat', 'access_log_format'],
  }),
  accessLogFields: setting({
    kind: accessFields,
    default: null,
    defaultAs: 'the usual ones',
    doc: 'Fields of the access log in JSON, headers as request.header.NAME and response.header.NAME',
  }),
  accessLogSkip: setting({
    kind: pathPatterns,
    default: null,
    doc: 'Paths whose requests have no line in the access log, such as /healthz or /assets/*',
  }),
  trustProxy: setting({
    kind: trustProxy,
    default: false,
    doc: "Proxies that are believed about the client's address (X-Forwarded-For, Forwarded), in the access log",
    elsewhere: ['forwarded_allow_ips', 'proxy_allow_ips', 'set_real_ip_from'],
  }),
  captureOutput: setting({
    kind: boolean,
    default: false,
    doc: 'Put what workers print into the log, with slot and pid',
    elsewhere: ['capture_output'],
  }),
};
