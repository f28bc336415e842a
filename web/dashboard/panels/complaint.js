// Why a list could not be read, in words.
import { t } from "../i18n.js";

export const complaint = (error) => t("The list could not be read: {reason}", { reason: error.message });
