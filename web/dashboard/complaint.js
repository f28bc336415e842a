// The reason in words why a list could not be read.
import { t } from "./i18n.js";

// For use where banken is known to be away before a request has failed.
export const noAnswer = () => complaint({ message: t("banken does not answer") });

export const complaint = (error) => t("The list could not be read: {reason}", { reason: error.message });
